extension SupervisionTarget {
    /// Whether a supervisor sees to this copy by itself: it runs, or its finish script, or it is about to be started.
    func willStart(_ marker: ServiceMarker) -> Bool {
        guard let directory else { return isActive(marker) }
        guard let scan = try? ScanDirectory.open(directory, isS6: isS6) else { return false }
        for (name, found) in scan.services(of: marker.app) where found == marker && scan.isSupervised(name) {
            return scan.serviceStatus(of: name)?.isWantedUp == true
        }
        return false
    }
}
