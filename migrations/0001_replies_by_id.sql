-- A reply is found by its own id, with or without a session; what is said, in replies and messages, is made of parts.

update "nexus_messages" set row = json_remove(
    json_set(row, '$.parts', json_array(json_object('type', 'text', 'text', row -> '$.content'))), '$.content');

create table "nexus_replies_by_id" ("reply_id", row text not null, primary key ("reply_id"));

insert into "nexus_replies_by_id"
select reply_id, json_remove(
    json_set(
        row,
        '$.input', json(coalesce(
            (select said.row -> '$.parts' from "nexus_messages" as said
             where said.session_id = old.session_id and said.message_id = old.row ->> '$.asked'), '[]')),
        '$.output', iif(
            coalesce(row ->> '$.content', '') = '', json('[]'),
            json_array(json_object('type', 'text', 'text', row -> '$.content')))),
    '$.content')
from "nexus_replies" as old;

drop table "nexus_replies";

alter table "nexus_replies_by_id" rename to "nexus_replies";
