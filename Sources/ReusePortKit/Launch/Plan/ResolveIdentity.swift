/// The target's user and groups, as numbers.
struct Identity: Sendable, Equatable {
    /// Nil for the caller's.
    var user: UInt32?
    /// Nil for the caller's.
    var group: UInt32?
    /// Nil for the caller's, empty for none.
    var groups: [UInt32]?
    /// The entry of `user` in the user database.
    var account: Account?
}

/// Looks up `--user` and `--groups` through the system's name service.
func resolveIdentity(_ options: LaunchOptions) throws(Failure) -> Identity {
    var identity = Identity()
    if let text = options.user { try identity.take(user: text) }
    if let names = options.groups {
        var ids: [UInt32] = []
        for name in names {
            let id = try resolveGroup(name)
            if !ids.contains(id) { ids.append(id) }
        }
        identity.groups = ids
    }
    return identity
}

extension Identity {
    /// Reads `USER[:GROUP]`.
    fileprivate mutating func take(user text: ByteString) throws(Failure) {
        let parts = text.cut(at: UInt8(ascii: ":"))
        let name = parts?.head ?? text
        if name.isEmpty { throw .usage("parse", "--user \(text)", "the user's name is empty") }
        account = try resolveAccount(name)
        user = account?.user
        group = account?.group
        if account == nil { user = try numericID(name, "user") }
        if let groupName = parts?.tail {
            if groupName.isEmpty { throw .usage("parse", "--user \(text)", "the group's name is empty") }
            group = try resolveGroup(groupName)
        }
        guard let group else {
            throw .usage(
                "find", "the group of user \(name)", "no user database has this id", remedy: "write \(name):GROUP")
        }
        if let account { groups = ReusePortKit.groups(of: account.name, with: group) } else { groups = [group] }
    }
}

/// The user database's entry for a name or an id; nil for an id that has none.
func resolveAccount(_ name: ByteString) throws(Failure) -> Account? {
    let isNumber = name.decimal != nil || name.bytes.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    let id = isNumber ? try numericID(name, "user") : nil
    let found = try step("look up", "user \(name)") { () throws(Errno) in
        if let id { try account(id: id) } else { try account(named: name) }
    }
    if found == nil && !isNumber {
        throw .usage("find", "user \(name)", "there is no such user", remedy: "see getent passwd")
    }
    if found?.user == UInt32.max {
        throw .usage("become", "user \(name)", "id 4294967295 means 'no change' to the kernel")
    }
    return found
}

/// A group's id by name or number.
func resolveGroup(_ name: ByteString) throws(Failure) -> UInt32 {
    if name.bytes.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) {
        return try numericID(name, "group")
    }
    let found = try step("look up", "group \(name)") { () throws(Errno) in try groupID(named: name) }
    guard let id = found else {
        throw .usage("find", "group \(name)", "there is no such group", remedy: "see getent group")
    }
    if id == UInt32.max { throw .usage("become", "group \(name)", "id 4294967295 means 'no change' to the kernel") }
    return id
}

/// Reads an id below 2^32-1, because `setresuid(-1, -1, -1)` succeeds and drops nothing.
private func numericID(_ text: ByteString, _ kind: ByteString) throws(Failure) -> UInt32 {
    guard let number = text.decimal, number <= UInt64(UInt32.max) else {
        throw .usage("become", "\(kind) \(text)", "ids are numbers from 0 to 4294967294")
    }
    guard number < UInt64(UInt32.max) else {
        throw .usage("become", "\(kind) \(text)", "id 4294967295 means 'no change' to the kernel")
    }
    return UInt32(number)
}
