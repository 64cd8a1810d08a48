"""How a task is defined.

declare, declared        `@job`, and the options of a task
task, typed              `JobTask`: its calls, and what type checkers know of them
running, replacing       what a task's body may ask of it
signature, options       what a call gives, and whether it fits
times, routes            when a job may run, and where it goes
calls, coroutines        what callers get; what a task's function returns
batch                    what a task takes that is called for several jobs
versions, aliases        arguments of older code, and names that a task had before
uniqueness, redaction    keys of jobs, and what nobody is shown
encryption               what nobody reads without a key
breakers, limits, keys   the dependencies that tasks name, their limits, and whose their jobs are
registry                 the tasks known here
enqueuer                 who writes the jobs
"""
