package natsd

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/rind-project/rind/internal/fleet/bus/keystore"
)

// Keys are the secrets of the fleet, kept in the folder keys of the data
// folder. Whoever has Operator owns the broker; whoever has Root owns the
// fleet.
type Keys struct {
	Store    *keystore.Store // for the keys of other rooms
	Operator nkeys.KeyPair   // signs the accounts
	System   nkeys.KeyPair   // the system account
	Account  nkeys.KeyPair   // the account of masters and peels
	Scoped   []nkeys.KeyPair // sign peels' permissions; the last one signs new ones
	Root     ed25519.PrivateKey
	Master   ed25519.PrivateKey // delegated by Root; signs jobs until its first rotation

	scopedNames []int // of Scoped: the numbers in their names
}

const rootName = "fleet-root"

// maxScoped bounds how many templates of permissions live side by side.
const maxScoped = 8

// OpenKeys loads the keys of a data folder and makes those that are missing.
func OpenKeys(dir string) (*Keys, error) { return openKeys(dir, true) }

// openKeys leaves out the fleet's root and the key that it delegates to, which
// a server with the role bus alone has not got and must not make.
func openKeys(dir string, fleet bool) (*Keys, error) {
	store, err := keystore.Open(dir)
	if err != nil {
		return nil, err
	}
	k := &Keys{Store: store}
	nk := []struct {
		name   string
		prefix nkeys.PrefixByte
		into   *nkeys.KeyPair
	}{
		{"operator", nkeys.PrefixByteOperator, &k.Operator},
		{"system", nkeys.PrefixByteAccount, &k.System},
		{"account", nkeys.PrefixByteAccount, &k.Account},
	}
	for _, want := range nk {
		if *want.into, err = store.NKey(want.name, want.prefix); err != nil {
			return nil, err
		}
	}
	if fleet {
		if k.Root, err = store.Ed25519(rootName); err != nil {
			return nil, err
		}
		if k.Master, err = store.Ed25519("master"); err != nil {
			return nil, err
		}
	}
	return k, k.openScoped()
}

// openScoped loads scoped-1, scoped-2 …, of which there is at least one. What
// was rotated out leaves a gap.
func (k *Keys) openScoped() error {
	names, err := k.Store.Names("scoped-")
	if err != nil {
		return err
	}
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "scoped-")); err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) == 0 {
		numbers = []int{1}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		if err := k.loadScoped(n); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keys) loadScoped(n int) error {
	kp, err := k.Store.NKey(scopedName(n), nkeys.PrefixByteAccount)
	if err != nil {
		return err
	}
	k.Scoped, k.scopedNames = append(k.Scoped, kp), append(k.scopedNames, n)
	return nil
}

// addScoped makes the next scoped key, under which new permissions go.
func (k *Keys) addScoped(template jwt.UserPermissionLimits) error {
	kp, err := k.deriveScoped(template, 0)
	if err != nil {
		return err
	}
	return k.keepScoped(kp)
}

// keepScoped has a key sign from now on, and keeps it for the next start.
func (k *Keys) keepScoped(kp nkeys.KeyPair) error {
	if len(k.Scoped) >= maxScoped {
		return fmt.Errorf("there are %d scoped signing keys already, which is the limit", maxScoped)
	}
	n := k.scopedNames[len(k.scopedNames)-1] + 1
	if err := k.Store.KeepNKey(scopedName(n), kp); err != nil {
		return err
	}
	k.Scoped, k.scopedNames = append(k.Scoped, kp), append(k.scopedNames, n)
	return nil
}

// dropScoped forgets a key that signs nothing any more. The last one stays.
func (k *Keys) dropScoped(pub string) {
	for i, kp := range k.Scoped[:len(k.Scoped)-1] {
		if public(kp) != pub {
			continue
		}
		_ = k.Store.Remove(scopedName(k.scopedNames[i])) // what stays is loaded at the next start, and dropped again
		k.Scoped = append(k.Scoped[:i:i], k.Scoped[i+1:]...)
		k.scopedNames = append(k.scopedNames[:i:i], k.scopedNames[i+1:]...)
		return
	}
}

func scopedName(n int) string { return fmt.Sprintf("scoped-%d", n) }

// public returns the public key of a pair that was loaded, which cannot fail.
func public(kp nkeys.KeyPair) string {
	pub, err := kp.PublicKey()
	if err != nil {
		return ""
	}
	return pub
}
