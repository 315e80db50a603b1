-- The first release left the log of a reply where its session was deleted.

create table if not exists nexus_log
    (topic text not null, first integer not null, body blob not null, primary key (topic, first)) without rowid;

delete from nexus_log where topic glob 'reply:*' and substr(topic, 7) not in (select reply_id from "nexus_replies");
