"""Sensor health: every live sensor is predicted from the others, and a reading that contradicts
them more than healthy ones ever did is reported.

    features:       residuals of one reading and its leave-one-out prediction
    reference:      what is normal of them: test statistics as quantiles of healthy data
    calibration:    references beside any set of other sensors, as the checkpoint keeps them
    calibrate:      a model and healthy logs → calibration
    leave_one_out:  one frame, each sensor predicted from any of the others; isolation
    hysteresis:     scores over time → OK, WARN, ERROR
    monitor:        all of it over time, within a share of the time
"""
