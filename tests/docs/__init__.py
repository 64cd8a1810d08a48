"""The documents say what is true, and the code keeps the house rules."""
