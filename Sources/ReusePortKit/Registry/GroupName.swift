/// The name of an app's memory group.
func groupName(of registry: borrowing Registry) throws(Errno) -> ByteString {
    try groupName(ofApp: registry.app, registeredIn: registry.folder)
}
