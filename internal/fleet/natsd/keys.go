package natsd

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"

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
	Master   ed25519.PrivateKey // delegated by Root; signs jobs
}

// maxScoped bounds how many templates of permissions live side by side.
const maxScoped = 8

// OpenKeys loads the keys of a data folder and makes those that are missing.
func OpenKeys(dir string) (*Keys, error) {
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
	if k.Root, err = store.Ed25519("fleet-root"); err != nil {
		return nil, err
	}
	if k.Master, err = store.Ed25519("master"); err != nil {
		return nil, err
	}
	return k, k.openScoped()
}

// openScoped loads scoped-1, scoped-2 …, of which there is at least the first.
func (k *Keys) openScoped() error {
	for n := 1; n <= maxScoped; n++ {
		name := scopedName(n)
		if n > 1 && !k.Store.Exists(name) {
			return nil
		}
		kp, err := k.Store.NKey(name, nkeys.PrefixByteAccount)
		if err != nil {
			return err
		}
		k.Scoped = append(k.Scoped, kp)
	}
	return nil
}

// addScoped makes the next scoped key, under which new permissions go. It
// comes from the account's key and the template, so that each server of a
// cluster makes the same one by itself.
func (k *Keys) addScoped(template jwt.UserPermissionLimits) error {
	if len(k.Scoped) >= maxScoped {
		return fmt.Errorf("there are %d scoped signing keys already, which is the limit", maxScoped)
	}
	seed, err := k.Account.Seed()
	if err != nil {
		return fmt.Errorf("making a scoped key: %w", err)
	}
	text, err := json.Marshal(template)
	if err != nil {
		return fmt.Errorf("making a scoped key: %w", err)
	}
	raw, err := hkdf.Key(sha256.New, seed, nil, "rind scoped key\n"+string(text), 32)
	if err != nil {
		return fmt.Errorf("making a scoped key: %w", err)
	}
	kp, err := nkeys.FromRawSeed(nkeys.PrefixByteAccount, raw)
	if err != nil {
		return fmt.Errorf("making a scoped key: %w", err)
	}
	if err := k.Store.KeepNKey(scopedName(len(k.Scoped)+1), kp); err != nil {
		return err
	}
	k.Scoped = append(k.Scoped, kp)
	return nil
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
