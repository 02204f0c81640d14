/// Writes `uid 33 (www-data)`, or `uid 33` if the user database does not have it.
func userDescription(_ uid: UInt32) -> ByteString {
    guard let account = try? account(id: uid) else { return "uid \(uid)" }
    return "uid \(uid) (\(account.name))"
}
