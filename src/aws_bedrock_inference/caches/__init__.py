"""The parts of the policy `Cache`, which stores answers.

`key` computes the key of a request, under which its answer is stored. `answer` converts an answer to bytes and back.
The other modules contain the stores: in memory, in SQLite and in Valkey.
"""
