package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestURL_HidesCredentials(t *testing.T) {
	for given, want := range map[string]string{
		"localhost:3000":                    "localhost:3000",
		"https://css.example.com/blox":      "https://css.example.com/blox",
		"https://me:secret@css.example.com": "https://xxxxx@css.example.com",
		"https://me:s@c/r#e?t@css:3000/x":   "https://xxxxx@css:3000/x",
		"me:secret@css:3000":                "xxxxx@css:3000",
		"me:secret://x@css:3000":            "xxxxx@css:3000",
		"ftp://secret@":                     "ftp://xxxxx@",
		"":                                  "",
	} {
		assert.Equal(t, []string{want}, URLs([]string{given}))
	}
}

// FuzzURL_HidesCredentials looks for the user and the password in any surroundings.
func FuzzURL_HidesCredentials(f *testing.F) {
	for _, seed := range []string{
		"http://", "", "me://", "https://css:3000/", "//", "a b://", "HTTP+x.1-://", "@", "1://",
	} {
		f.Add(seed, "@css:3000")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const user, password = "Zaphod", "Hunter:2"
		for _, secret := range []string{user + ":" + password, user + ":" + password + "://x", password + "@" + user} {
			shown := URL(before + secret + "@" + after)
			if strings.Contains(shown, user) || strings.Contains(shown, password) {
				t.Errorf("%q is shown as %q", before+secret+"@"+after, shown)
			}
		}
		if shown := URL(before + after); !strings.Contains(before+after, "@") && shown != before+after {
			t.Errorf("%q is shown as %q", before+after, shown)
		}
	})
}
