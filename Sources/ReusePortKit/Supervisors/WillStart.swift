extension SupervisionTarget {
    /// Whether the supervisor runs this copy or its finish script, or is about to start it.
    func willStart(_ marker: ServiceMarker) -> Bool {
        if self == .systemd { return isActive(marker) }
        guard let scan = try? ScanDirectory.open(self) else { return false }
        for (name, found) in scan.services(of: marker.app) where found == marker && scan.isSupervised(name) {
            return scan.serviceStatus(of: name)?.isWantedUp == true
        }
        return false
    }
}
