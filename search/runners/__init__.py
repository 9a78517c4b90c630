"""Where trials run: one controller a job, whatever it runs on."""
