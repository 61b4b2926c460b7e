"""What a model is held against: the same model with parts that were drawn anew, or taken out.

    with noised_weights(model, "qkv", seed=0, draw="own"):
        model(**inputs)

Every one is a `with` block on the model as it is; on leaving, also after an exception, the model is
what it was, bit for bit.

    noised         weights of queries, keys and values, or of the feed-forward part, as Gaussians
    reinitialised  every weight, as the architecture starts to train
    rotation       attention without rotation by position, from the same layer inputs
    removal        attention or the feed-forward part gives nothing; every token attends to itself
"""
