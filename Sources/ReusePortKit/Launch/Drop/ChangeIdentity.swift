import CLinux

/// Changes supplementary groups, then the group, then the user to the target's: each step needs rights that the next
/// gives up.
func changeIdentity(_ identity: Identity) throws(Failure) {
    if let groups = identity.groups { try changeGroups(groups) }
    if let group = identity.group, groupIDs() != (group, group, group) {
        try step("become", "group \(group)", remedy: rightsRemedy) { () throws(Errno) in try setGroup(group) }
    }
    if let user = identity.user {
        if userIDs() != (user, user, user) {
            try leaveKeyring()
            try step("become", "user \(user)", remedy: rightsRemedy) { () throws(Errno) in try setUser(user) }
        }
        if user != 0 {
            // The kernel clears capabilities only when root becomes another user and securebits allow it, and never the
            // inheritable ones.
            try step("give up", "capabilities") { () throws(Errno) in try clearCapabilities() }
        }
    }
    try verifyIdentity(identity)
}

/// Joins a new, empty session keyring, see keyrings(7): whoever has the caller's can read keys of its login, whatever user
/// that is.
private func leaveKeyring() throws(Failure) {
    try step("leave", "the caller's session keyring") { () throws(Errno) in
        do throws(Errno) {
            try checked(clinux_join_new_session_keyring())
        } catch {
            // The kernel has no keys, or a filter of system calls hides them, also from the target.
            if error != .notPermitted && error.rawValue != ENOSYS { throw error }
        }
    }
}

private func changeGroups(_ groups: [UInt32]) throws(Failure) {
    do throws(Errno) {
        try setGroups(groups)
    } catch {
        // A caller without the right to change groups may have the right ones already.
        if error == .notPermitted, let current = try? currentGroups(),
            current.ordered(by: { $0 < $1 }) == groups.ordered(by: { $0 < $1 })
        {
            return
        }
        throw Failure(
            "set", "supplementary groups", error,
            remedy: error == .invalid
                ? "the kernel takes 65536 at most; use --groups or --no-groups" : rightsRemedy(error))
    }
}

private func rightsRemedy(_ errno: Errno) -> ByteString? {
    switch errno {
    case .notPermitted where geteuid() == 0: "this root lacks CAP_SETUID or CAP_SETGID, or its user namespace denies it"
    case .notPermitted: "only root can become somebody else; run as root, or leave --user and --groups out"
    case .invalid: "this user namespace has no such id: see /proc/self/uid_map and gid_map"
    default: nil
    }
}

/// Asks the kernel whether all three ids are as requested, and makes sure that there is no way back to root.
private func verifyIdentity(_ identity: Identity) throws(Failure) {
    if let group = identity.group {
        guard groupIDs() == (group, group, group) else {
            throw Failure(.system, "become", "group \(group)", "the kernel reports another one")
        }
        if group != 0 && identity.user != 0 && reason({ () throws(Errno) in try setGroup(0) }) == nil {
            throw Failure(.system, "give up", "group 0", "the kernel gives it back")
        }
    }
    if let user = identity.user {
        guard userIDs() == (user, user, user) else {
            throw Failure(.system, "become", "user \(user)", "the kernel reports another one")
        }
        if user != 0 && reason({ () throws(Errno) in try setUser(0) }) == nil {
            throw Failure(.system, "give up", "user 0", "the kernel gives it back")
        }
    }
}
