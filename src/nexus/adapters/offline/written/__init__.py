"""The source of the tools that the offline model can write, one plain function each, without anything of nexus."""
