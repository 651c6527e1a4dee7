package schema

var (
	pkgPlatforms     = []string{"apt", "dnf", "zypper", "apk", "pacman"}
	servicePlatforms = []string{"systemd", "openrc", "sysv"}
)

func pkgFunctions() []Function {
	names := Arg{Name: "names", Type: List, Required: true, Many: true, Doc: "packages"}
	versions := names
	versions.Doc = "packages; NAME=VERSION asks for a version, where the package manager can"
	upgraded := names
	upgraded.Required, upgraded.Doc = false, "packages; all without one"
	refresh := Arg{Name: "refresh", Type: Bool, Doc: "fetches the lists of packages first"}
	all := []Function{
		{Name: "pkg.list", ReadOnly: true, Doc: "Returns the installed packages.", Example: "match='lib*'",
			Args: []Arg{{Name: "match", Type: String, Default: "*", Doc: "glob of names"}}},
		{Name: "pkg.version", ReadOnly: true, Doc: "Returns the installed version of packages, \"\" for one that is not installed.", Example: "curl openssl",
			Args: []Arg{names}},
		{Name: "pkg.list_upgrades", ReadOnly: true, Doc: "Returns the packages that have a newer version in the lists that the host has."},
		{Name: "pkg.refresh", Doc: "Fetches the lists of packages."},
		{Name: "pkg.install", Doc: "Installs packages, and returns what changed.", Example: "curl jq refresh=true", Args: []Arg{versions, refresh, dryRun}},
		{Name: "pkg.remove", Doc: "Removes packages, and returns what changed. One that is not installed is left out.", Example: "telnet",
			Args: []Arg{names, dryRun}},
		{Name: "pkg.upgrade", Doc: "Upgrades packages, or all of them, and returns what changed. No package is installed anew by naming it.", Example: "openssl refresh=true",
			Args: []Arg{upgraded, refresh, dryRun}},
	}
	for i := range all {
		all[i].Platforms = pkgPlatforms
	}
	return all
}

func serviceFunctions() []Function {
	name := []Arg{{Name: "name", Type: String, Required: true, Doc: "name of the service"}}
	change := append(name[:1:1], dryRun)
	all := []Function{
		{Name: "service.list", ReadOnly: true, Doc: "Returns the services with their state.", Example: "state=failed",
			Args: []Arg{{Name: "state", Type: String, Doc: "only those in this state, such as running, stopped or failed"}}},
		{Name: "service.status", ReadOnly: true, Doc: "Returns the state of a service, and whether it starts at boot.", Example: "ssh", Args: name},
		{Name: "service.start", Doc: "Starts a service that does not run.", Example: "nginx", Args: change},
		{Name: "service.stop", Doc: "Stops a service that runs.", Example: "nginx", Args: change},
		{Name: "service.restart", Doc: "Stops a service and starts it again.", Example: "nginx", Args: change},
		{Name: "service.reload", Doc: "Has a service read its configuration again.", Example: "nginx", Args: change},
		{Name: "service.enable", Doc: "Has a service start at boot.", Example: "nginx", Args: change},
		{Name: "service.disable", Doc: "Has a service no longer start at boot.", Example: "nginx", Args: change},
	}
	for i := range all {
		all[i].Platforms = servicePlatforms
	}
	return all
}

func psFunctions() []Function {
	return []Function{
		{Name: "ps.list", ReadOnly: true, Doc: "Returns the processes.", Example: "match=nginx",
			Args: []Arg{{Name: "match", Type: String, Doc: "only those with this text in the command line"},
				{Name: "user", Type: String, Doc: "only those of this user"},
				{Name: "limit", Type: Int, Default: "2000", Max: 10000, Doc: "how many are returned"}}},
		{Name: "ps.top", ReadOnly: true, Doc: "Returns the processes that use most, measured over an interval.", Example: "by=memory count=5",
			Args: []Arg{{Name: "by", Type: String, Default: "cpu", OneOf: []string{"cpu", "memory"}, Doc: "what is compared"},
				{Name: "count", Type: Int, Default: "10", Max: 1000, Doc: "how many are returned"},
				{Name: "interval", Type: Duration, Default: "1s", Doc: "how long it measures, at most a minute"}}},
		{Name: "ps.kill", Doc: "Sends a signal to a process. Process 1 and the peel itself are refused.", Example: "4711 signal=HUP",
			Args: []Arg{{Name: "pid", Type: Int, Required: true, Max: 1 << 22, Doc: "number of the process"},
				{Name: "signal", Type: String, Default: "TERM", OneOf: []string{"TERM", "KILL", "INT", "HUP", "QUIT", "USR1", "USR2", "STOP", "CONT"}, Doc: "name of the signal"},
				{Name: "match", Type: String, Doc: "text that the command line has to have, against a number that was given away again"}, dryRun}},
	}
}

func diskFunctions() []Function {
	return []Function{
		{Name: "disk.usage", ReadOnly: true, Doc: "Returns how full the file systems are. Network shares are not asked, since one whose server is gone would hold the answer.", Example: "/var",
			Args: []Arg{{Name: "path", Type: String, Doc: "only the file system that this path is on"}}},
	}
}

func netFunctions() []Function {
	return []Function{
		{Name: "net.interfaces", ReadOnly: true, Doc: "Returns the network interfaces with addresses and counters."},
		{Name: "net.connections", ReadOnly: true, Doc: "Returns sockets of TCP and UDP, with the processes where they may be seen.", Example: "state=listen",
			Args: []Arg{{Name: "state", Type: String, Doc: "only those in this state, such as listen or established"},
				{Name: "protocol", Type: String, OneOf: []string{"tcp", "udp"}, Doc: "only this protocol"},
				{Name: "port", Type: Int, Max: 65535, Doc: "only those with this local or remote port"},
				{Name: "limit", Type: Int, Default: "2000", Max: 20000, Doc: "how many are returned"}}},
		{Name: "net.routes", ReadOnly: true, Doc: "Returns the routes of the main table."},
		{Name: "net.ping", ReadOnly: true, Doc: "Sends echo requests (ICMP) to another host, and returns the times.", Example: "192.0.2.1 count=5",
			Args: []Arg{{Name: "host", Type: String, Required: true, Max: 253, Doc: "name or address"},
				{Name: "count", Type: Int, Default: "3", Max: 100, Doc: "how many requests"},
				{Name: "interval", Type: Duration, Default: "500ms", Doc: "time between two, at least 100ms"},
				{Name: "wait", Type: Duration, Default: "2s", Doc: "how long to wait for each answer"}}},
		{Name: "net.dns", ReadOnly: true, Doc: "Resolves a name as the host does, or by a server.", Example: "example.org type=MX",
			Args: []Arg{{Name: "name", Type: String, Required: true, Max: 253, Doc: "name, or address for PTR"},
				{Name: "type", Type: String, Default: "ADDR", OneOf: []string{"ADDR", "A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"}, Doc: "kind of record; ADDR is A and AAAA"},
				{Name: "server", Type: String, Max: 253, Doc: "address of a server, with :port if it is not 53"}}},
	}
}

func statusFunctions() []Function {
	return []Function{
		{Name: "status.load", ReadOnly: true, Doc: "Returns the load averages and the number of processors."},
		{Name: "status.mem", ReadOnly: true, Doc: "Returns how much memory there is, and how it is used."},
		{Name: "status.uptime", ReadOnly: true, Doc: "Returns since when the host is up."},
	}
}
