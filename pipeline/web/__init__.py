"""The small HTTP service: unsubscribing with one click, and what Twilio calls back."""
