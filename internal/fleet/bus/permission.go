package bus

import "github.com/nats-io/jwt/v2"

// Limits of one peel's connection.
const (
	PeelMaxSubscriptions = 32
	PeelMaxPayload       = 1 << 20
)

// PeelPermissions is the template of the scoped signing key under which peels
// connect. The server replaces {{name()}} by the peel's id, unescaped, which is
// why an id is checked by fleet.ParsePeelID on both halves of an enrollment.
//
// Whatever is not listed is denied. There is nothing of JetStream in it, and no
// stream listens to what a peel may publish to: see the package comment.
func PeelPermissions() jwt.UserPermissionLimits {
	const me = "{{name()}}"
	var p jwt.UserPermissionLimits
	p.Pub.Allow = jwt.StringList{"from." + me + ".>"}
	p.Sub.Allow = jwt.StringList{ToAll, "to." + me + ".>"}
	// nats-server does not enforce Data, so it says nothing here.
	p.NatsLimits = jwt.NatsLimits{Subs: PeelMaxSubscriptions, Data: jwt.NoLimit, Payload: PeelMaxPayload}
	p.AllowedConnectionTypes = jwt.StringList{jwt.ConnectionTypeStandard}
	return p
}
