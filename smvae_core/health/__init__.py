"""Sensor health: every live sensor is predicted from the others, and a reading that contradicts
them more than healthy ones ever did is reported. No ROS import.

    features:     how one reading differs from its leave-one-out prediction
    reference:    what is normal of that, as quantiles of healthy data
    calibration:  references beside any set of other sensors, as the checkpoint keeps them
    calibrate:    a model and healthy logs → calibration
    suspicion:    scores over time → OK, WARN, ERROR
"""
