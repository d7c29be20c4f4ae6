package redact

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestURL(t *testing.T) {
	for given, want := range map[string]string{
		"localhost:3000":                    "localhost:3000",
		"https://css.example.com/blox":      "https://css.example.com/blox",
		"https://me:secret@css.example.com": "https://xxxxx@css.example.com",
		"https://me:s@c/r#e?t@css:3000/x":   "https://xxxxx@css:3000/x",
		"me:secret@css:3000":                "xxxxx@css:3000",
		"ftp://secret@":                     "ftp://xxxxx@",
		"":                                  "",
	} {
		assert.Equal(t, []string{want}, URLs([]string{given}))
	}
}
