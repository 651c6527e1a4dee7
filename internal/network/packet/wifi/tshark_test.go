package wifi_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/packet/wifi"
)

// corpus returns the capture files in shared/pcaps beside the repository, or
// beside a folder above it, or skips.
func corpus(t testing.TB) []string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root := ""
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		root = filepath.Join(filepath.Dir(dir), "shared", "pcaps")
		if _, err := os.Stat(root); err == nil {
			break
		}
	}
	var files []string
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch filepath.Ext(path) {
		case ".pcap", ".cap", ".pcapng":
			files = append(files, path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no folder shared/pcaps with captures beside the repository: the test needs them")
	}
	return files
}

// reading is what a whole capture gave.
type reading struct {
	p       *wifi.Parser
	records network.Records
	out     *parse.Out
	frames  int
	content int
}

func (r *reading) Packet(ts int64, link packet.LinkType, data []byte, wireLen int) {
	if !wifi.Link(link) {
		return
	}
	r.frames++
	if _, status := r.p.Frame(ts, link, data, wireLen); status == wifi.Content {
		r.content++
	}
}

func read(t *testing.T, path string) *reading {
	t.Helper()
	f, err := capture.OpenFile(context.Background(), path, capture.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &reading{p: wifi.New(wifi.Limits{}), out: parse.NewOut(100000, 16<<20)}
	for {
		if _, err = f.Read(r, time.Second); err != nil {
			break
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Logf("the capture ends early: %v", err) // as aircrack's pmkid-not-recognized.cap does; tshark says so too
	}
	r.p.Cut(r.out)
	r.records = r.out.Cut()
	return r
}

// fields is what tshark is asked for, per frame.
var fields = []string{
	"wlan.fc.type_subtype", "wlan.fc.ds", "wlan.fc.protected", "wlan.ra", "wlan.ta", "wlan.bssid", "wlan.ssid",
	"wlan.fixed.reason_code", "wlan.rsn.akms", "wlan.rsn.pcs", "wlan.wfa.ie.wpa.akms", "wlan.wfa.ie.wpa.ucs",
	"wlan.fixed.capabilities.privacy", "wlan.ds.current_channel", "wlan.supported_rates", "wlan.rsn.capabilities.mfpr",
	"wlan.rsn.capabilities.mfpc", "radiotap.dbm_antsignal", "wps.wifi_protected_setup_state", "frame.protocols",
	"wlan.extended_supported_rates", "wlan.fc.retry", "wlan.sa",
}

func tshark(t *testing.T, path string) (rows []map[string]string) {
	t.Helper()
	bin, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark: the test needs it as the other reader")
	}
	args := []string{"-n", "-r", path, "-Y", "wlan", "-T", "fields", "-E", "separator=|"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.CommandContext(t.Context(), bin, args...).Output()
	if err != nil && len(out) == 0 {
		t.Fatalf("tshark %s: %v", path, err)
	}
	for line := range strings.Lines(string(out)) {
		row := map[string]string{}
		for i, v := range strings.Split(strings.TrimSuffix(line, "\n"), "|") {
			row[fields[i]] = v
		}
		rows = append(rows, row)
	}
	return rows
}

func kind(row map[string]string) int64 {
	v, _ := strconv.ParseInt(row["wlan.fc.type_subtype"], 0, 32)
	return v
}

// said is what one reader knows of one network.
type said struct {
	Security, PMF, Channel, Rates string
	Signal                        string
	WPS                           bool
}

// suite names as tshark's numbers of them.
var suiteNames = map[string]string{
	"1027073": "WPA2-EAP", "1027074": "WPA2-PSK", "1027075": "WPA2-FT-EAP", "1027076": "WPA2-FT-PSK",
	"1027078": "WPA2-PSK-SHA256", "1027080": "WPA3-SAE", "5304833": "WPA-EAP", "5304834": "WPA-PSK",
}

var cipherNames = map[string]string{"1027074": "TKIP", "1027076": "CCMP", "5304834": "TKIP", "5304836": "CCMP"}

func pairs(akms, ciphers string) (out []string) {
	if akms == "" {
		return nil
	}
	for a := range strings.SplitSeq(akms, ",") {
		for c := range strings.SplitSeq(ciphers, ",") {
			name, cipher := suiteNames[a], cipherNames[c]
			if name == "" || cipher == "" {
				name = "unnamed " + a + "/" + c
			}
			out = append(out, name+"-"+cipher)
		}
	}
	return out
}

// theirs says of networks what tshark shows in beacons and probe responses:
// the last beacon's word, else the last probe response's. A name of zeros
// only is a hidden one. Beacons without a name are joined to the name in the
// same BSSID's probe responses.
func theirs(rows []map[string]string) map[string]said {
	nets, beacon := map[string]said{}, map[string]bool{}
	named := map[string][]string{}
	for _, row := range rows {
		k := kind(row)
		if k != 5 && k != 8 && k != 0x30 {
			continue
		}
		b, _ := hex.DecodeString(first(row["wlan.ssid"]))
		ssid := text(b)
		key := row["wlan.bssid"] + " " + ssid
		if k == 5 && beacon[key] {
			s := nets[key]
			s.WPS = s.WPS || row["wps.wifi_protected_setup_state"] != ""
			nets[key] = s
			continue
		}
		if k != 5 {
			beacon[key] = true
		} else if !slices.Contains(named[row["wlan.bssid"]], ssid) {
			named[row["wlan.bssid"]] = append(named[row["wlan.bssid"]], ssid)
		}
		nets[key] = network1(row, nets[key].WPS)
	}
	for bssid, names := range named {
		hidden, ok := nets[bssid+" "]
		if ok && len(names) == 1 && names[0] != "" && !beacon[bssid+" "+names[0]] {
			hidden.WPS = hidden.WPS || nets[bssid+" "+names[0]].WPS
			nets[bssid+" "+names[0]] = hidden
			delete(nets, bssid+" ")
		}
	}
	return nets
}

func network1(row map[string]string, wps bool) said {
	sec := append(pairs(row["wlan.wfa.ie.wpa.akms"], row["wlan.wfa.ie.wpa.ucs"]), pairs(row["wlan.rsn.akms"], row["wlan.rsn.pcs"])...)
	switch {
	case len(sec) > 0:
	case kind(row) == 0x30:
		sec = []string{"DMG"}
	case first(row["wlan.fixed.capabilities.privacy"]) == "1":
		sec = []string{"WEP"}
	default:
		sec = []string{"OPEN"}
	}
	s := said{Security: strings.Join(sec, " "), PMF: "none", Channel: first(row["wlan.ds.current_channel"]), WPS: wps || row["wps.wifi_protected_setup_state"] != ""}
	if s.Channel == "" {
		s.Channel = "0"
	}
	switch {
	case row["wlan.rsn.capabilities.mfpr"] == "1":
		s.PMF = "required"
	case row["wlan.rsn.capabilities.mfpc"] == "1":
		s.PMF = "capable"
	}
	for _, list := range []string{row["wlan.supported_rates"], row["wlan.extended_supported_rates"]} {
		for r := range strings.SplitSeq(list, ",") {
			if v, err := strconv.ParseUint(r, 0, 8); err == nil {
				s.Rates += strconv.FormatFloat(float64(v&0x7f)/2, 'f', -1, 64) + strings.Repeat("*", int(v>>7)) + " "
			}
		}
	}
	return s
}

func ours(r *reading) map[string]said {
	nets := map[string]said{}
	for _, n := range r.records.WiFiNetworks {
		s := said{Security: strings.Join(n.Security, " "), PMF: n.PMF, Channel: strconv.Itoa(int(n.Channel)), WPS: n.WPS != ""}
		for _, rate := range n.Rates {
			s.Rates += rate + " "
		}
		nets[n.BSSID.String()+" "+n.SSID] = s
	}
	return nets
}

func first(s string) string {
	s, _, _ = strings.Cut(s, ",")
	return s
}

// text writes an SSID as records do.
func text(b []byte) string {
	if strings.Trim(string(b), "\x00") == "" {
		return ""
	}
	return parse.NewOut(1, 4096).Text(b)
}

// stations says which addresses are stations as tshark's fields have it, by
// the rules of docs/wifi.md.
func stations(rows []map[string]string) map[string]bool {
	all, weak, points := map[string]bool{}, map[string]bool{}, map[string]bool{}
	add := func(m string, to map[string]bool) {
		if b, err := strconv.ParseUint(m[:min(2, len(m))], 16, 8); err == nil && b&1 == 0 && m != "00:00:00:00:00:00" {
			to[m] = true
		}
	}
	for _, row := range rows {
		ra, ta, bssid := first(row["wlan.ra"]), row["wlan.ta"], row["wlan.bssid"]
		switch k := kind(row); {
		case k == 8 || k == 0x30:
			points[bssid] = true
		case k == 5:
			points[bssid] = true
			if ta == bssid {
				add(ra, all)
			}
		case k == 13 || k == 14:
			if ta != bssid {
				add(ta, weak)
			}
		case k < 8 || k >= 9 && k <= 12:
			if ta != bssid {
				add(ta, all)
			} else if k != 10 && k != 12 {
				add(ra, all)
			}
		case k == 0x1a:
			add(ta, all)
		case k >= 0x20 && k < 0x30:
			switch row["wlan.fc.ds"] {
			case "0x01":
				add(ta, all)
			case "0x02":
				add(ra, all)
			case "0x03":
				add(ta, weak)
				add(ra, weak)
			default:
				if ta != bssid {
					add(ta, all)
				}
				if ra != bssid {
					add(ra, all)
				}
			}
		}
	}
	for m := range weak {
		if !points[m] {
			all[m] = true
		}
	}
	return all
}

// gone counts deauthentications and disassociations by their ends and reason.
func gone(rows []map[string]string) map[string]uint64 {
	n := map[string]uint64{}
	for _, row := range rows {
		k := kind(row)
		if k != 10 && k != 12 {
			continue
		}
		reason, _ := strconv.ParseUint(row["wlan.fixed.reason_code"], 0, 16)
		n[fmt.Sprintf("%d %s %s %s %d", k, row["wlan.ta"], first(row["wlan.ra"]), row["wlan.bssid"], reason)]++
	}
	return n
}

// onlyTheirs are the stations that tshark shows and this package does not, by
// capture and with the reason.
var onlyTheirs = map[string]map[string]string{
	"wpaclean_crash.pcap": {
		"00:00:00:a0:00:00": "17 bytes that are no Prism header: tshark takes them for a bare association request, " +
			"shows its receiver and calls it malformed; here the frame is bad_radio",
	},
}

// TestAgainstTshark reads every 802.11 capture and compares networks, what
// they say, stations, and who was sent away.
func TestAgainstTshark(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, path := range corpus(t) {
		r := read(t, path)
		if r.frames == 0 {
			continue
		}
		seen++
		t.Run(filepath.Base(path), func(t *testing.T) {
			rows := tshark(t, path)
			c := r.p.Counters()
			t.Logf("%d frames, %d networks, %d clients, %d events; %+v", r.frames, len(r.records.WiFiNetworks),
				len(r.records.WiFiClients), len(r.records.WiFiEvents), c)
			if r.frames != len(rows) {
				t.Errorf("%d frames, tshark %d", r.frames, len(rows))
			}
			if diff := cmp.Diff(theirs(rows), ours(r)); diff != "" {
				t.Errorf("networks (-tshark +ours):\n%s", diff)
			}
			mine := map[string]bool{}
			for _, c := range r.records.WiFiClients {
				mine[c.MAC.String()] = true
			}
			want := stations(rows)
			for mac := range onlyTheirs[filepath.Base(path)] {
				if !want[mac] {
					t.Errorf("tshark does not show %s: the difference is none any more", mac)
				}
				delete(want, mac)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(mine))); diff != "" {
				t.Errorf("stations (-tshark +ours):\n%s", diff)
			}
			sent := map[string]uint64{}
			for _, e := range r.records.WiFiEvents {
				switch e.Kind {
				case "disassociation":
					sent[fmt.Sprintf("10 %s %s %s %d", e.From, e.To, e.BSSID, e.Reason)] += e.Count
				case "deauthentication":
					sent[fmt.Sprintf("12 %s %s %s %d", e.From, e.To, e.BSSID, e.Reason)] += e.Count
				}
			}
			if diff := cmp.Diff(gone(rows), sent); diff != "" {
				t.Errorf("sent away (-tshark +ours):\n%s", diff)
			}
			llc := uint64(0)
			for _, row := range rows {
				if strings.Contains(row["frame.protocols"], ":llc") {
					llc++
				}
			}
			if got := uint64(r.content) + c.Duplicates; got != llc {
				t.Errorf("%d frames with content or repeated, tshark %d", got, llc)
			}
		})
	}
	if seen == 0 {
		t.Error("no 802.11 capture among them")
	}
}
