//! Histograms and the run record between harness and plots.
