"""Fakes and factories, also for people who write apps on Runstead."""
