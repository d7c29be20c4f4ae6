package tokenfile

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func authorization(f *File) string {
	r := &http.Request{Header: http.Header{}}
	f.Authorize(r)
	return r.Header.Get("Authorization")
}

func TestFile_IsReloaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(" first\n")
	f, err := Open(path, testenv.Logger(t))
	require.NoError(t, err)
	assert.Equal(t, "Bearer first", authorization(f))
	write("second")
	testenv.Eventually(t, func() bool { return authorization(f) == "Bearer second" })
	write("")
	f.checkedAt = f.checkedAt.Add(-2 * reloadInterval)
	assert.Equal(t, "Bearer second", authorization(f), "the earlier token stays in use")
	write("third")
	testenv.Eventually(t, func() bool { return authorization(f) == "Bearer third" })
	assert.Empty(t, authorization(nil))
}

func TestOpen_RejectsWhatIsNoToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	_, err := Open(path, testenv.Logger(t))
	assert.ErrorContains(t, err, path)
	for _, text := range []string{"", "\n", "two words", "two\nlines", "Bearer secret", "sécret", "a=b"} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := Open(path, testenv.Logger(t))
		assert.ErrorContains(t, err, path+": not a token", text)
		assert.NotContains(t, err.Error(), "secret")
	}
	assert.NoError(t, Check("blox_a-Z_0/+~.=="))
}
