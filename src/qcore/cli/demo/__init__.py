"""``qcore demo``: kill a consumer that holds jobs, and count what each design loses.

The job is a real one: count the words of every text file under a folder, one job a file. What
should come out is known beforehand, so the sum of the words proves what the table says.
``race`` directs, ``crew`` starts and kills the consumers, ``consumer`` is what they run,
``ledger`` keeps the accounts and decides nothing else.
"""
