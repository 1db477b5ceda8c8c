"""Which handler carries out which command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Never

from mox.imap import acl, commands, notify, uidbatches
from mox.imap import metadata as metadatacommands
from mox.imapd import (
    any_state,
    authenticated,
    contexts,
    fetch,
    flagging,
    listing,
    mailboxes,
    metadata,
    multisearch,
    notifying,
    rights,
    search,
    selecting,
    transfer,
    unauthenticated,
)

if TYPE_CHECKING:
    from mox.imapd.answer import Done
    from mox.imapd.session import Session

# Each handler takes the class that is its key: the loop looks it up by the command's type.
HANDLERS: dict[type[commands.Command], Callable[[Session, Never], Done]] = {
    commands.Capability: any_state.cmd_capability,
    commands.Noop: any_state.cmd_noop,
    commands.Logout: any_state.cmd_logout,
    commands.Id: any_state.cmd_id,
    commands.StartTls: unauthenticated.cmd_starttls,
    commands.Authenticate: unauthenticated.cmd_authenticate,
    commands.Login: unauthenticated.cmd_login,
    commands.Enable: authenticated.cmd_enable,
    commands.Namespace: authenticated.cmd_namespace,
    commands.GetQuota: authenticated.cmd_getquota,
    commands.GetQuotaRoot: authenticated.cmd_getquotaroot,
    commands.SetQuota: authenticated.cmd_setquota,
    commands.Compress: authenticated.cmd_compress,
    commands.Unauthenticate: authenticated.cmd_unauthenticate,
    uidbatches.UidBatches: selecting.cmd_uidbatches,
    notify.Notify: notifying.cmd_notify,
    metadatacommands.GetMetadata: metadata.cmd_getmetadata,
    metadatacommands.SetMetadata: metadata.cmd_setmetadata,
    acl.MyRights: rights.cmd_myrights,
    acl.GetAcl: rights.cmd_getacl,
    acl.SetAcl: rights.cmd_setacl,
    acl.DeleteAcl: rights.cmd_deleteacl,
    acl.ListRights: rights.cmd_listrights,
    commands.Select: selecting.cmd_select,
    commands.Close: selecting.cmd_close,
    commands.Unselect: selecting.cmd_unselect,
    commands.Check: selecting.cmd_check,
    commands.Create: mailboxes.cmd_create,
    commands.Delete: mailboxes.cmd_delete,
    commands.Rename: mailboxes.cmd_rename,
    commands.Subscribe: mailboxes.cmd_subscribe,
    commands.Unsubscribe: mailboxes.cmd_unsubscribe,
    commands.Status: mailboxes.cmd_status,
    commands.List: listing.cmd_list,
    commands.Lsub: listing.cmd_lsub,
    commands.Fetch: fetch.cmd_fetch,
    commands.Store: flagging.cmd_store,
    commands.Search: search.cmd_search,
    commands.Sort: search.cmd_sort,
    commands.Thread: search.cmd_thread,
    commands.MultiSearch: multisearch.cmd_esearch,
    commands.CancelUpdate: contexts.cmd_cancelupdate,
    commands.Copy: transfer.cmd_copy,
    commands.Move: transfer.cmd_move,
    commands.Expunge: transfer.cmd_expunge,
}
