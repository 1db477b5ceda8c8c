"""The results of one outgoing transaction, recipient by recipient (RFC 5321 §3.3)."""

from __future__ import annotations

from mox.address import Path
from mox.smtp.clientevents import Message, RecipientResult
from mox.smtp.reply import Reply

# RFC 5321 §4.5.3.1.10: "too many recipients" is 452; 552 is the same from old servers.
_TOO_MANY = (452, 552)


class Transaction:
    """Keeps what was replied to MAIL, each RCPT, DATA and the final dot."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.mail: Reply | None = None
        self.rcpts: list[Reply] = []
        self.refused_data: Reply | None = None
        self.final: Reply | None = None
        self._not_tried: Reply | None = None

    @property
    def any_accepted(self) -> bool:
        return any(reply.is_positive for reply in self.rcpts)

    @property
    def all_answered(self) -> bool:
        return len(self.rcpts) == len(self.message.forward_paths) or self._not_tried is not None

    def stop_if_too_many(self, reply: Reply) -> bool:
        """Without pipelining: leave out the recipients that the server has no room for."""
        if reply.code in _TOO_MANY and len(self.rcpts) > 1:
            self._not_tried = reply
        return self._not_tried is not None

    def results(self) -> tuple[RecipientResult, ...]:
        """Return the results as far as they are known."""
        paths = self.message.forward_paths
        replies: list[Reply | None] = [*self.rcpts, *[None] * (len(paths) - len(self.rcpts))]
        return tuple(
            self._result(number, reply) for number, reply in enumerate(replies[: len(paths)])
        )

    def _result(self, number: int, reply: Reply | None) -> RecipientResult:
        path = self.message.forward_paths[number]
        # MAIL refused: that is the result for everybody, whatever was said to RCPT after it.
        if self.mail is not None and not self.mail.is_positive:
            return _failed(path, self.mail)
        if reply is None:
            tried = self._not_tried is None
            return RecipientResult(path, self._not_tried, False, True, tried)
        if not reply.is_positive:
            return _failed(path, reply, temporary=reply.code == 552 or not reply.is_permanent)
        if self.final is not None and self.final.is_positive:
            return RecipientResult(path, self.final, True, False)
        decisive = self.final or self.refused_data
        if decisive is None:
            return RecipientResult(path, None, False, True)
        return _failed(path, decisive)


def _failed(path: Path, reply: Reply, *, temporary: bool | None = None) -> RecipientResult:
    if temporary is None:
        temporary = not reply.is_permanent
    return RecipientResult(path, reply, False, temporary)
