"""The skill that writes for people what others found."""
