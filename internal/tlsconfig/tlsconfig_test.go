package tlsconfig_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, files tlsconfig.Files) *tlsconfig.Certificates {
	t.Helper()
	c, err := tlsconfig.Load(files, testenv.Logger(t))
	require.NoError(t, err)
	return c
}

// listen answers every connection with its client's name, until the test ends.
func listen(t *testing.T, server *tlsconfig.Certificates) (address string) {
	t.Helper()
	return listenWith(t, server.Server())
}

func listenWith(t *testing.T, cfg *tls.Config) (address string) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := tls.NewListener(inner, cfg)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			secured := conn.(*tls.Conn)
			if secured.Handshake() == nil {
				name := "nobody"
				if peers := secured.ConnectionState().PeerCertificates; len(peers) > 0 {
					name = peers[0].Subject.CommonName
				}
				_, _ = io.WriteString(conn, name)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return inner.Addr().String()
}

// dial connects and returns the names that the server and the client see of each other.
func dial(address string, cfg *tls.Config) (server, client string, err error) {
	conn, err := tls.Dial("tcp", address, cfg)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	read, err := io.ReadAll(conn) // with TLS 1.3, the alert about a rejected certificate arrives here
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, string(read), err
}

func TestFiles_Handshakes(t *testing.T) {
	ours, theirs := testenv.NewCA(t), testenv.NewCA(t)
	server := ours.Files("server")
	open := tlsconfig.Files{Cert: server.Cert, Key: server.Key} // to clients without certificates
	past := testenv.Leaf{NotAfter: time.Now().Add(-time.Minute)}
	client, expired, stranger := ours.Files("client"), ours.Files("expired", past), theirs.Files("stranger")
	stranger.CA = ours.File

	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	for name, tc := range map[string]struct {
		server, client tlsconfig.Files
		sees           string // of the client
		fails          any    // a target of errors.As, or a text
	}{
		"right, one-sided":             {open, tlsconfig.Files{CA: ours.File}, "nobody", nil},
		"right, mutual":                {server, client, "client", nil},
		"the server's CA is another":   {open, tlsconfig.Files{CA: theirs.File}, "", &unknown},
		"the machine does not know it": {open, tlsconfig.Files{}, "", &unknown},
		"the server's has expired":     {ours.Files("old", past), client, "", &invalid},
		"no client certificate":        {server, tlsconfig.Files{CA: ours.File}, "", "certificate required"},
		"the client's CA is another":   {server, stranger, "", "unknown certificate authority"},
		"the client's has expired":     {server, expired, "", "expired certificate"},
		"the client's is a server's own": {
			server, ours.Files("other", testenv.Leaf{ServerOnly: true}), "", "bad certificate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, load(t, tc.server))
			_, sees, err := dial(address, load(t, tc.client).Client())
			switch want := tc.fails.(type) {
			case nil:
				require.NoError(t, err)
				assert.Equal(t, tc.sees, sees)
			case string:
				assert.ErrorContains(t, err, want)
			default:
				assert.True(t, errors.As(err, want), "%v", err)
			}
		})
	}
}

func TestOptionalServer_VerifiesTheCertificatesThatClientsShow(t *testing.T) {
	ours, theirs := testenv.NewCA(t), testenv.NewCA(t)
	stranger := theirs.Files("stranger")
	stranger.CA = ours.File
	address := listenWith(t, load(t, ours.Files("server")).OptionalServer())
	for want, files := range map[string]tlsconfig.Files{"nobody": {CA: ours.File}, "client": ours.Files("client")} {
		_, sees, err := dial(address, load(t, files).Client())
		require.NoError(t, err)
		assert.Equal(t, want, sees)
	}
	_, _, err := dial(address, load(t, stranger).Client())
	assert.ErrorContains(t, err, "unknown certificate authority")
}

func TestServer_RejectsOldTLSVersions(t *testing.T) {
	ca := testenv.NewCA(t)
	files := ca.Files("server")
	address := listen(t, load(t, files))
	old := load(t, files).Client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	_, _, err := dial(address, old)
	assert.ErrorContains(t, err, "protocol version not supported")
	old.MaxVersion = tls.VersionTLS12
	_, _, err = dial(address, old)
	assert.NoError(t, err)
}

func TestSelfCheck_IsAccepted(t *testing.T) {
	ca := testenv.NewCA(t)
	files := ca.Files("server", testenv.Leaf{ServerOnly: true}) // as authorities issue them
	address := listen(t, load(t, files))
	self, err := tlsconfig.SelfCheck(files)
	require.NoError(t, err)
	_, sees, err := dial(address, self)
	require.NoError(t, err)
	assert.Equal(t, "server", sees)

	for name, other := range map[string]tlsconfig.Files{
		"another of the same authority": ca.Files("client"),
		"none":                          {Cert: files.Cert, Key: files.Key},
	} {
		cfg, err := tlsconfig.SelfCheck(other)
		require.NoError(t, err)
		_, _, err = dial(address, cfg)
		assert.ErrorContains(t, err, "certificate", name)
	}
}

func TestFiles_AreReloaded(t *testing.T) {
	ca, next := testenv.NewCA(t), testenv.NewCA(t)
	files := ca.Files("server")
	log, lines := test.NewNullLogger()
	server, err := tlsconfig.Load(files, log)
	require.NoError(t, err)
	tlsconfig.ReloadOften(server)
	address := listen(t, server)
	client := load(t, ca.Files("client"))
	sees := func(want string) func() bool {
		return func() bool {
			name, _, err := dial(address, client.Client())
			return err == nil && name == want
		}
	}
	said := func(message string) (n int) {
		for _, entry := range lines.AllEntries() {
			if entry.Message == message {
				n++
			}
		}
		return n
	}
	const stay, replaced = "failed to reload certificates; the earlier ones stay in use", "certificates reloaded"
	require.True(t, sees("server")())

	// The pair is replaced one file after the other, and in between nothing fails.
	cert, key := ca.Issue("second")
	require.NoError(t, os.WriteFile(files.Cert, cert, 0o600))
	testenv.Eventually(t, func() bool { require.True(t, sees("server")()); return said(stay) == 1 })
	require.NoError(t, os.WriteFile(files.Key, key, 0o600))
	testenv.Eventually(t, sees("second"))
	assert.Equal(t, 1, said(stay))
	assert.Equal(t, 1, said(replaced))

	// A broken, a missing and an expired file are logged once each.
	lines.Reset()
	for n, spoil := range []func(){
		func() { require.NoError(t, os.WriteFile(files.Cert, cert[:len(cert)/2], 0o600)) },
		func() { require.NoError(t, os.Remove(files.Cert)) },
		func() { ca.Files("server", testenv.Leaf{NotAfter: time.Now().Add(-time.Hour)}) },
	} {
		spoil()
		testenv.Eventually(t, func() bool { require.True(t, sees("second")()); return said(stay) == n+1 })
	}
	assert.Zero(t, said(replaced))

	// Another authority of clients; the server's own certificate is still the old one's.
	ca.Files("server")
	authority, err := os.ReadFile(next.File)
	require.NoError(t, err)
	stranger := next.Files("stranger")
	stranger.CA = filepath.Join(t.TempDir(), "ca.pem")
	old, err := os.ReadFile(ca.File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(stranger.CA, old, 0o600))
	later := load(t, stranger)
	require.NoError(t, os.WriteFile(ca.File, authority, 0o600))
	testenv.Eventually(t, func() bool {
		_, sees, err := dial(address, later.Client())
		return err == nil && sees == "stranger"
	}, "the new authority's clients are not let in")
	for _, entry := range lines.AllEntries() {
		text, err := entry.String()
		require.NoError(t, err)
		assert.NotContains(t, text, "PRIVATE KEY")
	}
	assert.Equal(t, logrus.InfoLevel, lines.LastEntry().Level)
}

// Kubernetes swaps a link to the directory that holds all files.
func TestFiles_FollowSymlinks(t *testing.T) {
	ca := testenv.NewCA(t)
	dir := t.TempDir()
	put := func(version, name string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		cert, key := ca.Issue(name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, version, "tls.crt"), cert, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, version, "tls.key"), key, 0o600))
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "..new")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")))
	}
	put("..1", "first")
	files := tlsconfig.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	require.NoError(t, os.Symlink("..data/tls.crt", files.Cert))
	require.NoError(t, os.Symlink("..data/tls.key", files.Key))
	server := load(t, files)
	tlsconfig.ReloadOften(server)
	address := listen(t, server)
	client := load(t, tlsconfig.Files{CA: ca.File})
	sees := func() string {
		name, _, err := dial(address, client.Client())
		require.NoError(t, err)
		return name
	}
	assert.Equal(t, "first", sees())
	put("..2", "second")
	testenv.Eventually(t, func() bool { return sees() == "second" })
}

func TestLoad_ReportsInvalidFiles(t *testing.T) {
	ca := testenv.NewCA(t)
	files := ca.Files("server")
	write := func(text []byte) string {
		name := filepath.Join(t.TempDir(), "file.pem")
		require.NoError(t, os.WriteFile(name, text, 0o600))
		return name
	}
	authority, err := os.ReadFile(ca.File)
	require.NoError(t, err)
	key, err := os.ReadFile(files.Key)
	require.NoError(t, err)
	for want, given := range map[string]tlsconfig.Files{
		"no such file":                {CA: "/nowhere/ca.pem"},
		"no certificate in PEM form":  {CA: write([]byte("hello\n"))},
		"a certificate is truncated":  {CA: write(append(authority, authority[:100]...))},
		"want certificates only":      {CA: write(append(authority, key...))},
		"does not match public key":   {Cert: files.Cert, Key: ca.Files("other").Key},
		"failed to find any PEM data": {Cert: write(nil), Key: files.Key},
		"x509: malformed tbs certificate": {
			CA: write([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")),
		},
	} {
		_, err := tlsconfig.Load(given, testenv.Logger(t))
		assert.ErrorContains(t, err, want)
	}
}

func TestFiles_ReadFromFlagsAndEnvironment(t *testing.T) {
	variables := map[string]string{"CSS_TLS_CERT": "a", "CSS_CLIENT_CA": "b", "DS_CSS_CA": "c"}
	var listener, client tlsconfig.Files
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	getenv := func(name string) string { return variables[name] }
	listener.ListenerFlags(flags, "CSS", getenv)
	client.ClientFlags(flags, "css", "DS_CSS", getenv)
	require.NoError(t, flags.Parse([]string{"--tls-cert", "x", "--css-key", "y"}))
	assert.Equal(t, tlsconfig.Files{CA: "b", Cert: "x"}, listener)
	assert.Equal(t, tlsconfig.Files{CA: "c", Key: "y"}, client)

	assert.ErrorContains(t, listener.ValidateListener(), "--tls-key")
	assert.ErrorContains(t, tlsconfig.Files{CA: "x"}.ValidateListener(), "--client-ca needs")
	assert.NoError(t, tlsconfig.Files{CA: "x", Cert: "y", Key: "z"}.ValidateListener())
	assert.ErrorContains(t, client.ValidateClient("css", true), "--css-cert and --css-key")
	assert.ErrorContains(t, tlsconfig.Files{CA: "x"}.ValidateClient("etcd", false), "https://")
	assert.NoError(t, tlsconfig.Files{}.ValidateClient("etcd", false))
	assert.NoError(t, tlsconfig.Files{CA: "x"}.ValidateClient("etcd", true))
}

// ECS and Kubernetes can give a container secrets as environment variables.
func TestFiles_MayBeEnvironmentVariables(t *testing.T) {
	ca := testenv.NewCA(t)
	server := load(t, inEnvironment(t, "SERVER", ca.Files("server")))
	files := inEnvironment(t, "CLIENT", ca.Files("client"))
	seen, _, err := dial(listen(t, server), load(t, files).Client())
	require.NoError(t, err)
	assert.Equal(t, "server", seen)

	check, err := tlsconfig.SelfCheck(files)
	require.NoError(t, err)
	assert.Len(t, check.Certificates, 1)

	t.Setenv("CLIENT_KEY", "")
	_, err = tlsconfig.Load(files, testenv.Logger(t))
	assert.EqualError(t, err, "env:CLIENT_KEY: the environment variable is not set or empty")
	_, err = tlsconfig.SelfCheck(files)
	assert.ErrorContains(t, err, "env:CLIENT_KEY")
}

// inEnvironment puts the contents of files into variables whose names begin with prefix.
func inEnvironment(t *testing.T, prefix string, files tlsconfig.Files) tlsconfig.Files {
	t.Helper()
	for name, path := range map[string]string{"_CA": files.CA, "_CERT": files.Cert, "_KEY": files.Key} {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		t.Setenv(prefix+name, string(content))
	}
	return tlsconfig.Files{CA: "env:" + prefix + "_CA", Cert: "env:" + prefix + "_CERT", Key: "env:" + prefix + "_KEY"}
}
