"""From a plan to the store and back: sign, fence, publish, roll back, verify, collect."""
