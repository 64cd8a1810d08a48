"""What people can do, once, for all interfaces.

actions              jobs and queues: retry, cancel, pause, resume
dead_letter_actions  replay, discard
bulk                 what changes of many have in common
filters, search      which rows are meant, as fields or as a line of text
paging               pages of a long list
access, tokens       who may
rates                how often
problems, arguments  what is wrong with a request, field by field
values               what no database or no JSON can hold
wording, *_json      how things are put, for people and for programs
"""
