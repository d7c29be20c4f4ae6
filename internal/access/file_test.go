package access

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var hash = strings.Repeat("0a", 32)

func TestParseFile_ReadsYAMLAndJSON(t *testing.T) {
	want := File{
		Tokens: []Token{
			{Name: "ci", Role: Operator, SHA256: hash, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
			{Name: "grafana@eu-1", Role: Viewer, SHA256: strings.Repeat("ff", 32)},
		},
		Certificates: []Certificate{{CommonName: "ds", OrganizationalUnit: "platform", Role: Admin}},
	}
	for name, text := range map[string]string{
		"YAML": `
tokens:
  - name: ci
    role: operator
    sha256: ` + hash + `
    expires: 2030-01-02T03:04:05Z
  - {name: grafana@eu-1, role: viewer, sha256: ` + strings.Repeat("ff", 32) + `}
certificates:
  - commonName: ds
    organizationalUnit: platform
    role: admin
`,
		"JSON": `{"tokens":[{"name":"ci","role":"operator","sha256":"` + hash + `","expires":"2030-01-02T03:04:05Z"},
			{"name":"grafana@eu-1","role":"viewer","sha256":"` + strings.Repeat("ff", 32) + `"}],
			"certificates":[{"commonName":"ds","organizationalUnit":"platform","role":"admin"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseFile([]byte(text))
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestParseFile_ReadsTheDocumentedExample(t *testing.T) {
	guide, err := os.ReadFile("../../deploy/docs/security.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(guide), "\n## Access file\n")
	require.True(t, found)
	_, example, found := strings.Cut(section, "```yaml\n")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "```")
	f, err := ParseFile([]byte(example))
	require.NoError(t, err)
	assert.Len(t, f.Tokens, 2)
	assert.Len(t, f.Certificates, 2)
}

func TestParseFile_RejectsInvalidFiles(t *testing.T) {
	token := func(fields string) string { return "tokens: [{" + fields + "}]" }
	for name, tc := range map[string]struct{ text, want string }{
		"an empty file":    {"", "neither tokens nor certificates"},
		"empty lists":      {"tokens: []", "neither tokens nor certificates"},
		"no YAML":          {"tokens: [", "did not find"},
		"two documents":    {token("name: a, role: viewer, sha256: "+hash) + "\n---\na: b", "more than one document"},
		"an unknown field": {token("name: a, roles: viewer, sha256: " + hash), "field roles not found"},
		"an unknown role": {
			token("name: a, role: root, sha256: " + hash),
			`role "root": must be viewer, operator or admin`,
		},
		"the role public":      {token("name: a, role: public, sha256: " + hash), `role "public"`},
		"a token without role": {token("name: a, sha256: " + hash), "tokens[0]: role is missing"},
		"a token without name": {token("role: viewer, sha256: " + hash), `tokens[0]: name ""`},
		"a name like a subject": {
			token("name: CN=a, role: viewer, sha256: " + hash), `tokens[0]: name "CN=a": must be 1 to 64 letters`},
		"a token in plain text": {
			token("name: a, role: viewer, sha256: blox_secret"), `tokens[0]: sha256 of "a": must be 64 lower-case`},
		"an upper-case hash": {
			token("name: a, role: viewer, sha256: " + strings.ToUpper(hash)), "must be 64 lower-case"},
		"a repeated name": {
			"tokens: [{name: a, role: viewer, sha256: " + hash + "}, {name: a, role: viewer, sha256: " +
				strings.Repeat("1", 64) + "}]", `tokens[1]: name "a" is repeated`},
		"a repeated hash": {
			"tokens: [{name: a, role: viewer, sha256: " + hash + "}, {name: b, role: admin, sha256: " + hash + "}]",
			`tokens[1]: sha256 of "b" is repeated`},
		"a date that is none": {
			token("name: a, role: viewer, expires: soon, sha256: " + hash), "soon"},
		"a certificate that matches all": {"certificates: [{role: viewer}]", "commonName or organizationalUnit is required"},
		"a certificate without role":     {"certificates: [{commonName: a}]", "certificates[0]: role is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseFile([]byte(tc.text))
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "blox_secret")
		})
	}
}

func TestNewToken_IsRandomAndMatchesItsHash(t *testing.T) {
	first, second := NewToken(), NewToken()
	assert.NotEqual(t, first, second)
	assert.Regexp(t, `^blox_[A-Za-z0-9_-]{43}$`, first)
	r := newRules(File{Tokens: []Token{{Name: "a", Role: Viewer, SHA256: Hash(first)}}})
	defer r.close()
	require.NotNil(t, r.token(first))
	assert.Equal(t, "a", r.token(first).name)
	for _, wrong := range []string{second, "", first[:len(first)-1], first + "x", Hash(first)} {
		assert.Nil(t, r.token(wrong), wrong)
	}
}

func TestRules_EndWithTheExpiryOfTheirToken(t *testing.T) {
	r := newRules(File{Tokens: []Token{
		{Name: "past", Role: Viewer, SHA256: Hash("past"), Expires: time.Now().Add(-time.Second)},
		{Name: "future", Role: Viewer, SHA256: Hash("future"), Expires: time.Now().Add(time.Hour)},
	}})
	defer r.close()
	assert.Nil(t, r.token("past"))
	require.NotNil(t, r.token("future"))
	ends, _ := r.token("future").valid.Deadline()
	assert.WithinDuration(t, time.Now().Add(time.Hour), ends, time.Minute)
}
