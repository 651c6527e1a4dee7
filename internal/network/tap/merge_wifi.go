package tap

import (
	"cmp"
	"slices"

	"github.com/rind-project/rind/internal/network"
)

// maxWanted is how many names a row of a station holds, as one worker's does.
const maxWanted = 16

// mergeWiFi makes one row of those of several workers, by what a worker itself
// tells rows apart by.
func mergeWiFi(r *network.Records) {
	type ssid struct {
		bssid network.MAC
		name  string
	}
	r.WiFiNetworks = mergeEqual(r.WiFiNetworks, func(n network.WiFiNetwork) ssid { return ssid{n.BSSID, n.SSID} }, mergeNetwork)
	r.WiFiClients = mergeEqual(r.WiFiClients, func(c network.WiFiClient) network.MAC { return c.MAC }, mergeClient)
	r.WiFiEvents = mergeEqual(r.WiFiEvents,
		func(e network.WiFiEvent) network.WiFiEvent {
			return network.WiFiEvent{Kind: e.Kind, From: e.From, To: e.To, BSSID: e.BSSID, Reason: e.Reason}
		},
		func(into *network.WiFiEvent, e network.WiFiEvent) {
			into.Time, into.Signal = earlier(into.Time, e.Time), stronger(into.Signal, e.Signal)
			into.Count += e.Count
		})
	type craft struct {
		mac           network.MAC
		transport, id string
	}
	r.Drones = mergeEqual(r.Drones, func(d network.Drone) craft { return craft{d.MAC, d.Transport, d.ID} }, mergeDrone)
}

// mergeNetwork keeps what beacons say before what probe responses do, and of
// two workers with beacons what the first says.
func mergeNetwork(into *network.WiFiNetwork, n network.WiFiNetwork) {
	a, b := *into, n
	if a.Beacons == 0 && b.Beacons > 0 {
		a, b = b, a
	}
	a.Time, a.Signal, a.Weakest = earlier(a.Time, b.Time), stronger(a.Signal, b.Signal), weaker(a.Weakest, b.Weakest)
	a.Beacons, a.Probes = a.Beacons+b.Beacons, a.Probes+b.Probes
	a.WPS, a.Pwnagotchi = cmp.Or(a.WPS, b.WPS), cmp.Or(a.Pwnagotchi, b.Pwnagotchi)
	*into = a
}

func mergeClient(into *network.WiFiClient, c network.WiFiClient) {
	if c.Time.Before(into.Time) {
		into.Time = c.Time
	}
	if into.BSSID == (network.MAC{}) {
		into.BSSID = c.BSSID
	}
	for _, name := range c.Wanted {
		if len(into.Wanted) < maxWanted && !slices.Contains(into.Wanted, name) {
			into.Wanted = append(slices.Clip(into.Wanted), name)
		}
	}
	into.Signal = stronger(into.Signal, c.Signal)
	into.DataSent, into.DataGot = into.DataSent+c.DataSent, into.DataGot+c.DataGot
	into.BytesSent, into.BytesGot = into.BytesSent+c.BytesSent, into.BytesGot+c.BytesGot
	into.Management, into.Control = into.Management+c.Management, into.Control+c.Control
	into.Fingerprint = cmp.Or(into.Fingerprint, c.Fingerprint)
}

// mergeDrone keeps the later one: a row is the latest that a craft said.
func mergeDrone(into *network.Drone, d network.Drone) {
	messages, signal := into.Messages+d.Messages, stronger(into.Signal, d.Signal)
	if d.Time.After(into.Time) {
		*into = d
	}
	into.Messages, into.Signal = messages, signal
}

// stronger returns the stronger of two signals, of which 0 is none.
func stronger(a, b int8) int8 {
	if a == 0 || b == 0 {
		return a + b
	}
	return max(a, b)
}

func weaker(a, b int8) int8 {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
