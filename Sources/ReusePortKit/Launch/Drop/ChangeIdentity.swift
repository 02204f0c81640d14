import CLinux

/// Becomes who the target is to be: groups, then group, then user, for each step needs the rights that the next gives
/// up.
func changeIdentity(_ identity: Identity) throws(Failure) {
    if let groups = identity.groups { try changeGroups(groups) }
    if let group = identity.group, groupIDs() != (group, group, group) {
        try step("become", "group \(group)", remedy: rightsRemedy) { () throws(Errno) in try setGroup(group) }
    }
    if let user = identity.user {
        if userIDs() != (user, user, user) {
            try step("become", "user \(user)", remedy: rightsRemedy) { () throws(Errno) in try setUser(user) }
        }
        if user != 0 {
            // The kernel clears them when root becomes another user, unless securebits say otherwise, but not when a
            // user with capabilities becomes a third; and inheritable ones stay in any case.
            try step("give up", "capabilities") { () throws(Errno) in try clearCapabilities() }
        }
    }
    try verifyIdentity(identity)
}

private func changeGroups(_ groups: [UInt32]) throws(Failure) {
    do throws(Errno) {
        try setGroups(groups)
    } catch {
        // Who has no right to change them may still have what is asked for.
        if error == .notPermitted, let current = try? currentGroups(),
            current.ordered(by: { $0 < $1 }) == groups.ordered(by: { $0 < $1 })
        {
            return
        }
        throw Failure("set", "supplementary groups", error, remedy: rightsRemedy(error))
    }
}

private func rightsRemedy(_ errno: Errno) -> ByteString? {
    errno == .notPermitted ? "only root can become somebody else; run as root, or leave --user and --groups out" : nil
}

/// Trusts nothing but the kernel's own answer: all three ids are as asked for, and the way back to root is shut.
private func verifyIdentity(_ identity: Identity) throws(Failure) {
    if let group = identity.group {
        guard groupIDs() == (group, group, group) else {
            throw Failure(.system, "become", "group \(group)", "the kernel reports another one")
        }
        if group != 0 && identity.user != 0 && reason({ () throws(Errno) in try setGroup(0) }) == nil {
            throw Failure(.system, "give up", "group 0", "it could be taken back")
        }
    }
    if let user = identity.user {
        guard userIDs() == (user, user, user) else {
            throw Failure(.system, "become", "user \(user)", "the kernel reports another one")
        }
        if user != 0 && reason({ () throws(Errno) in try setUser(0) }) == nil {
            throw Failure(.system, "give up", "user 0", "it could be taken back")
        }
    }
}
