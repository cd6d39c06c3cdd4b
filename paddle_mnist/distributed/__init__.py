"""Training by many processes, on one machine or several, with the weights of one process, to the bit.

    python -m paddle.distributed.launch --nproc_per_node 2 python -m paddle_mnist.train --net cnn

Paddle's launcher starts the same command several times, each a *worker* with a *rank* from 0. Rank 0 writes the run
folder; all of them compute.

    team       which blocks of a batch each worker computes, and the one order in which the results are added
    launch     what the launcher tells a worker: its rank, how many there are, where rank 0 listens
    meet       how workers find each other when they start
    channel    connections to rank 0 over which workers agree on settings, and notice when another one is gone
    mesh       connections between every two workers, over which they exchange arrays
    workers    all of this behind one object: ``joined``
    local      starts workers on this machine from Python, for tests and measurements
"""
