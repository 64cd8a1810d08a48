"""How a task is defined.

declare                  `@job`
task                     `JobTask`
running, replacing       what a task's body may ask of it
signature, options       what a call gives, and whether it fits
calls, coroutines        what callers get; what a task's function returns
versions, aliases        arguments of older code, and names that a task had before
uniqueness, redaction    keys of jobs, and what nobody is shown
encryption               what nobody reads without a key
breakers                 the dependencies that tasks name
registry                 the tasks known here
enqueuer                 who writes the jobs
"""
