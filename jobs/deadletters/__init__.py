"""What is kept of a job that gave up, or of a message nobody could read.

codec      a dead letter as a message, and back
publisher  with the broker first, and only then is a job dead
archiver   from the broker into the table
missing    dead jobs whose dead letter was lost
"""
