package enrich

import (
	"strings"
	"testing"
)

// ouiText is made like the three files of IEEE, one after another.
const ouiText = "OUI/MA-L                                                    Organization                                 \r\n" +
	"company_id                                                  Organization                                 \r\n" +
	"                                                            Address                                      \r\n\r\n" +
	"28-6F-B9   (hex)\t\tNokia Shanghai Bell Co., Ltd.\r\n" +
	"286FB9     (base 16)\t\tNokia Shanghai Bell Co., Ltd.\r\n" +
	"\t\t\t\tNo.388 Ning Qiao Road\r\n\t\t\t\tCN\r\n\r\n" +
	"70-B3-D5   (hex)\t\tIEEE Registration Authority\r\n" +
	"70B3D5     (base 16)\t\tIEEE Registration Authority\r\n\r\n" +
	"40-D8-55   (hex)\t\tMiddle Inc\r\n" +
	"D00000-DFFFFF     (base 16)\t\tMiddle Inc\r\n\r\n" +
	"70-B3-D5   (hex)\t\tSmall\x07 GmbH\r\n" +
	"C5A000-C5AFFF     (base 16)\t\tSmall\x07 GmbH\r\n"

func TestVendors(t *testing.T) {
	t.Parallel()
	csv := "\ufeffRegistry,Assignment,Organization Name,Organization Address\r\n" +
		"MA-L,286FB9,\"Nokia Shanghai Bell Co., Ltd.\",\"No.388\nNing Qiao Road\"\r\n" +
		"MA-L,70B3D5,IEEE Registration Authority,x\r\n" +
		"MA-M,40D855D,Middle Inc,x\r\nMA-S,70B3D5C5A,Small GmbH,x\r\nMA-L,zzz,broken,x\r\nshort\r\n"
	for form, content := range map[string]string{"text": ouiText, "csv": csv} {
		v, n, err := readVendors([]byte(content))
		if err != nil || n != 4 {
			t.Errorf("%s: %d entries, %v", form, n, err)
			continue
		}
		for mac, want := range map[[6]byte]string{
			{0x28, 0x6f, 0xb9, 0, 0, 1}:    "Nokia Shanghai Bell Co., Ltd.",
			{0x70, 0xb3, 0xd5, 0, 0, 1}:    "IEEE Registration Authority",
			{0x70, 0xb3, 0xd5, 0xc5, 0xa1}: "Small GmbH",
			{0x70, 0xb3, 0xd5, 0xc5, 0xb1}: "IEEE Registration Authority",
			{0x40, 0xd8, 0x55, 0xd1, 2, 3}: "Middle Inc",
			{0x40, 0xd8, 0x55, 0xe1, 2, 3}: "",
			{0x2a, 0x6f, 0xb9, 0, 0, 1}:    "", // chosen by the host
			{}:                             "",
		} {
			if got := v.find(mac); got != want {
				t.Errorf("%s, %x: got %q, want %q", form, mac, got, want)
			}
		}
	}
	for _, content := range []string{"", "<html>not found</html>", "Registry,Assignment\n"} {
		if _, _, err := readVendors([]byte(content)); err == nil || !strings.Contains(err.Error(), "IEEE") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func FuzzVendors(f *testing.F) {
	f.Add([]byte(ouiText))
	f.Add([]byte("Registry,Assignment,Organization Name\nMA-L,286FB9,x\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		v, n, err := readVendors(content)
		if err == nil && n == 0 {
			t.Error("nothing was read, and nobody is told")
		}
		for _, name := range v.byPrefix {
			if len(name) > maxText || strings.ContainsAny(name, "\n\x00\x1b") {
				t.Errorf("a name %q", name)
			}
		}
	})
}
