"""Studies: the paper's benchmarks, the robot study, and the study of sensor faults."""
