"""What is known of a failure before anybody is asked: live exceptions in, values out."""
