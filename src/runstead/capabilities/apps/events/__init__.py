"""What happens beside requests: timers, messages between apps, and webhooks that tell others."""

from runstead.capabilities.apps.events.messages import MessageCalls, Messages
from runstead.capabilities.apps.events.timers import TimerCalls, Timers
from runstead.capabilities.apps.events.webhooks import Delivery, Webhooks

__all__ = ["Delivery", "MessageCalls", "Messages", "TimerCalls", "Timers", "Webhooks"]
