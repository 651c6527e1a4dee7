package natsd

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
)

// mergeClaims puts together what two servers of a cluster state about the
// account. Of each key the later word counts, whoever said it and whichever
// account was signed later: a server that was away knows nothing of what was
// revoked meanwhile, but may have revoked something itself. Either may be nil.
func mergeClaims(ours, theirs *jwt.AccountClaims) *jwt.AccountClaims {
	if ours == nil {
		return theirs
	}
	if theirs == nil {
		return ours
	}
	out := *ours
	out.Revocations = jwt.RevocationList{}
	out.Tags = nil
	for _, from := range []*jwt.AccountClaims{ours, theirs} {
		for pub, at := range from.Revocations {
			if _, ok := out.Revocations[pub]; ok && !later(from, &out, pub) {
				continue
			}
			out.Revocations[pub] = at
			back, _ := taken(from, pub)
			setTaken(&out, pub, back)
		}
	}
	setMasterKey(&out, max(masterKey(ours), masterKey(theirs)))
	out.SigningKeys = jwt.SigningKeys{}
	known := scopes(ours)
	for key, s := range scopes(theirs) {
		if have := known[key]; have == nil || s.Description < have.Description {
			known[key] = s // the earlier, so that all servers settle on one
		}
	}
	for _, s := range known {
		out.SigningKeys.AddScopedSigner(s)
	}
	return &out
}

// later reports whether a states something newer than b about a key. Of what
// two servers say at the same moment, a revocation goes before its opposite,
// and what refuses more before what refuses less.
func later(a, b *jwt.AccountClaims, pub string) bool {
	x, y := said(a, pub), said(b, pub)
	if x != y {
		return x > y
	}
	_, mine := taken(a, pub)
	_, undone := taken(b, pub)
	if mine == undone {
		return a.Revocations[pub] > b.Revocations[pub]
	}
	return undone
}

// said is when the last word about a key was said.
func said(c *jwt.AccountClaims, pub string) int64 {
	if back, ok := taken(c, pub); ok {
		return back
	}
	return c.Revocations[pub] - int64(MaxPeelLife/time.Second)
}

// tagTaken begins a tag that says when a revocation was taken back.
const tagTaken = "unrevoked:"

// taken returns when the revocation of a key was taken back, if it was.
func taken(c *jwt.AccountClaims, pub string) (int64, bool) {
	prefix := tagTaken + strings.ToLower(pub) + ":"
	for _, t := range c.Tags {
		if rest, ok := strings.CutPrefix(t, prefix); ok {
			at, err := strconv.ParseInt(rest, 10, 64)
			return at, err == nil
		}
	}
	return 0, false
}

// setTaken notes that, or with 0 that it was not.
func setTaken(c *jwt.AccountClaims, pub string, at int64) {
	prefix := tagTaken + strings.ToLower(pub) + ":"
	var tags jwt.TagList
	for _, t := range c.Tags {
		if !strings.HasPrefix(t, prefix) {
			tags = append(tags, t)
		}
	}
	if at != 0 {
		tags = append(tags, prefix+strconv.FormatInt(at, 10))
	}
	c.Tags = tags
}

// scopes returns the scoped keys of an account, by their public key.
func scopes(c *jwt.AccountClaims) map[string]*jwt.UserScope {
	out := map[string]*jwt.UserScope{}
	if c == nil {
		return out
	}
	for pub, s := range c.SigningKeys {
		if us, ok := s.(*jwt.UserScope); ok {
			out[pub] = us
		}
	}
	return out
}

// sameClaims compares what accounts state, and not when it was signed.
func sameClaims(a, b *jwt.AccountClaims) bool {
	x, errX := stated(a)
	y, errY := stated(b)
	return errX == nil && errY == nil && x == y
}

func stated(c *jwt.AccountClaims) (string, error) {
	revoked, _ := json.Marshal(map[string]int64(c.Revocations)) // which always can be
	if len(c.Revocations) == 0 {
		revoked = nil
	}
	limits, err := json.Marshal(c.Limits)
	if err != nil {
		return "", err
	}
	keys, err := json.Marshal(scopes(c))
	if err != nil {
		return "", err
	}
	var tags []string
	for pub := range c.Revocations {
		if at, ok := taken(c, pub); ok {
			tags = append(tags, pub+strconv.FormatInt(at, 10))
		}
	}
	tags = append(tags, strconv.Itoa(masterKey(c)))
	slices.Sort(tags)
	return c.Name + string(revoked) + string(limits) + string(keys) + strings.Join(tags, ","), nil
}
