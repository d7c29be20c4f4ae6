package etcd_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/tlsconfig"
)

func open(t *testing.T, cfg etcd.Config) *clientv3.Client {
	t.Helper()
	client, err := etcd.New(cfg, testenv.Logger(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func put(t *testing.T, client *clientv3.Client, within time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := client.Put(ctx, "ecs/task/a", "1")
	return err
}

func TestNew_RequiresMutualTLS(t *testing.T) {
	ours, theirs := testenv.NewCA(t), testenv.NewCA(t)
	server := testenv.EtcdServer(t, embedded.Options{TLS: ours.Files("etcd")})
	require.Contains(t, server.Endpoints()[0], "https://")
	mine := ours.Files("blox")
	assert.NoError(t, put(t, open(t, etcd.Config{Endpoints: server.Endpoints(), TLS: mine}), 30*time.Second))

	stranger := theirs.Files("stranger")
	stranger.CA = ours.File
	for name, files := range map[string]tlsconfig.Files{
		"another CA":            theirs.Files("blox"),
		"the machine's CAs":     {},
		"no client certificate": {CA: ours.File},
		"another's certificate": stranger,
		"expired":               ours.Files("expired", testenv.Leaf{NotAfter: time.Now().Add(-time.Minute)}),
	} {
		assert.Error(t, put(t, open(t, etcd.Config{Endpoints: server.Endpoints(), TLS: files}), 300*time.Millisecond), name)
	}
	_, err := etcd.New(etcd.Config{Endpoints: server.Endpoints(), TLS: tlsconfig.Files{CA: "/nowhere"}}, testenv.Logger(t))
	assert.ErrorContains(t, err, "/nowhere")
}

// The client's certificate is replaced while it runs, and so is the authority of both sides, and etcd is away
// meanwhile.
func TestNew_ReloadsTLSFiles(t *testing.T) {
	ca, next := testenv.NewCA(t), testenv.NewCA(t)
	own := ca.Files("etcd")
	server := testenv.EtcdServer(t, embedded.Options{TLS: own})
	client := open(t, etcd.Config{Endpoints: server.Endpoints(), TLS: ca.Files("blox")})
	require.NoError(t, put(t, client, 30*time.Second))

	server.Stop()
	authority, err := os.ReadFile(next.File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ca.File, authority, 0o600))
	for _, name := range []string{"etcd", "blox"} {
		cert, key := next.Issue(name)
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(ca.File), name+".pem"), cert, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(ca.File), name+".key"), key, 0o600))
	}
	server.Start()
	testenv.Eventually(t, func() bool { return put(t, client, 5*time.Second) == nil })
}

// withAuth is an etcd whose user blox may use only keys below ecs/. Tokens expire after a second.
func withAuth(t *testing.T, password string, files ...tlsconfig.Files) *testenv.Server {
	t.Helper()
	options := embedded.Options{TokenTTL: time.Second}
	if len(files) > 0 {
		options.TLS = files[0]
	}
	server := testenv.EtcdServer(t, options)
	root, ctx := server.Client(), limited(t)
	for _, do := range []func() error{
		func() error { _, err := root.UserAdd(ctx, "root", "root's"); return err },
		func() error { _, err := root.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := root.RoleAdd(ctx, "blox"); return err },
		func() error {
			_, err := root.RoleGrantPermission(
				ctx, "blox", "ecs/", clientv3.GetPrefixRangeEnd("ecs/"), clientv3.PermissionType(clientv3.PermReadWrite),
			)
			return err
		},
		func() error { _, err := root.UserAdd(ctx, "blox", password); return err },
		func() error { _, err := root.UserGrantRole(ctx, "blox", "blox"); return err },
		func() error { _, err := root.AuthEnable(ctx); return err },
	} {
		require.NoError(t, do())
	}
	return server
}

func TestNew_AuthenticatesWithPassword(t *testing.T) {
	const password = "correct horse"
	server := withAuth(t, password)
	assert.Error(t, put(t, open(t, etcd.Config{Endpoints: server.Endpoints()}), 30*time.Second), "no user")
	wrong := open(t, etcd.Config{Endpoints: server.Endpoints(), User: "blox", Password: "wrong"})
	assert.ErrorIs(t, put(t, wrong, 30*time.Second), rpctypes.ErrAuthFailed)

	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("old\n"), 0o600))
	client := open(t, etcd.Config{Endpoints: server.Endpoints(), User: "blox", PasswordFile: file})
	assert.ErrorIs(t, put(t, client, 30*time.Second), rpctypes.ErrAuthFailed)
	require.NoError(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	assert.NoError(t, put(t, client, 30*time.Second), "the file is read again")
	_, err := client.Put(limited(t), "others", "1")
	assert.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	now, err := client.Get(limited(t), "ecs/task/a")
	require.NoError(t, err)
	_, err = client.Compact(limited(t), now.Header.Revision)
	assert.ErrorIs(t, err, rpctypes.ErrPermissionDenied, "only root may, as the README says")
	_, err = client.Status(limited(t), client.Endpoints()[0])
	assert.NoError(t, err)
	require.NoError(t, os.Remove(file))
	server.Stop()
	server.Start() // which knows no tokens
	assert.ErrorContains(t, put(t, client, 30*time.Second), "no such file")
}

// To etcd, who has a certificate but no token is the user whose name the certificate bears.
func TestNew_UsesAPasswordBesideACertificate(t *testing.T) {
	ca := testenv.NewCA(t)
	server := withAuth(t, "secret", ca.Files("etcd"))
	cfg := etcd.Config{Endpoints: server.Endpoints(), TLS: ca.Files("someone"), User: "blox", Password: "secret"}
	client := open(t, cfg)
	require.NoError(t, put(t, client, 30*time.Second))
	server.Stop()
	server.Start()
	assert.NoError(t, put(t, client, 30*time.Second))

	named := open(t, etcd.Config{Endpoints: server.Endpoints(), TLS: ca.Files("blox")})
	assert.NoError(t, put(t, named, 30*time.Second), "a certificate may do without a password")
}

func TestNew_AcceptsAPasswordThatIsNotNeeded(t *testing.T) {
	server := testenv.EtcdServer(t)
	client := open(t, etcd.Config{Endpoints: server.Endpoints(), User: "blox", Password: "secret"})
	assert.NoError(t, put(t, client, 30*time.Second))
}

func TestNew_DoesNotConnectForAPassword(t *testing.T) {
	server := withAuth(t, "secret")
	cfg := etcd.Config{Endpoints: server.Endpoints(), User: "blox", Password: "secret"}
	server.Stop()
	client := open(t, cfg)
	assert.Error(t, put(t, client, 50*time.Millisecond))
	server.Start()
	testenv.Eventually(t, func() bool { return put(t, client, 5*time.Second) == nil })
}

// A token is good for a second here, and five minutes usually. Whatever happens afterwards, a new one is had.
func TestNew_RenewsTokens(t *testing.T) {
	server := withAuth(t, "secret")
	client := open(t, etcd.Config{Endpoints: server.Endpoints(), User: "blox", Password: "secret"})
	ctx := limited(t)
	first := client.Watch(ctx, "ecs/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	require.True(t, (<-first).Created)
	session, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	require.NoError(t, err)
	defer session.Close()
	kept, err := client.KeepAlive(ctx, session.Lease())
	require.NoError(t, err)
	for range 2 {
		time.Sleep(2500 * time.Millisecond) // until etcd has forgotten the token
		for len(kept) > 0 {
			<-kept
		}
		require.NotNil(t, <-kept, "the lease was not kept alive")
		second := client.Watch(ctx, "ecs/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		created := <-second
		require.NoError(t, created.Err(), "a watch beside one that was opened with an expired token")
		require.NoError(t, put(t, client, 30*time.Second))
		for _, watch := range []clientv3.WatchChan{first, second} {
			require.Len(t, (<-watch).Events, 1)
		}
	}
	election, won := concurrency.NewElection(session, "ecs/leader"), make(chan error, 1)
	go func() { won <- election.Campaign(ctx, "me") }()
	require.NoError(t, <-won)
}

func TestConfig_Validate(t *testing.T) {
	parse := func(variables map[string]string, args ...string) etcd.Config {
		var c etcd.Config
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		c.Flags(flags, "CSS", func(name string) string { return variables[name] })
		require.NoError(t, flags.Parse(args))
		return c
	}
	c := parse(map[string]string{
		"CSS_ETCD_ENDPOINTS": "https://a:1,https://b:2", "CSS_ETCD_USER": "blox", "CSS_ETCD_PASSWORD": "x",
		"CSS_ETCD_CA": "ca.pem",
	})
	assert.Empty(t, c.Validate())
	assert.Equal(t, []string{"https://a:1", "https://b:2"}, c.Endpoints)
	assert.Equal(
		t, []string{"c:3"}, parse(map[string]string{"CSS_ETCD_ENDPOINTS": "a:1"}, "--etcd-endpoint", "c:3").Endpoints,
	)
	for want, args := range map[string][]string{
		"--etcd-endpoint is missing":       nil,
		"must be http or https":            {"--etcd-endpoint", "ftp://me:secret@a:1"},
		"https://":                         {"--etcd-endpoint", "a:1", "--etcd-ca", "x"},
		"--etcd-cert and --etcd-key":       {"--etcd-endpoint", "https://a:1", "--etcd-cert", "x"},
		"--etcd-user and a password":       {"--etcd-endpoint", "a:1", "--etcd-user", "x"},
		"--etcd-user and a password, in -": {"--etcd-endpoint", "a:1", "--etcd-password-file", "x"},
	} {
		problems := fmt.Sprint(parse(nil, args...).Validate())
		assert.Contains(t, problems, want)
		assert.NotContains(t, problems, "secret")
	}
	both := parse(
		map[string]string{"CSS_ETCD_PASSWORD": "x"}, "--etcd-endpoint", "a:1", "--etcd-user", "x", "--etcd-password-file",
		"x",
	)
	assert.Len(t, both.Validate(), 1)
}

func TestSecret_IsNotShown(t *testing.T) {
	c := etcd.Config{User: "blox", Password: "horse"}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	for _, shown := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q %x", c, c, c, c, c.Password, c.Password), string(text),
	} {
		assert.Contains(t, shown, "(secret)")
		assert.NotContains(t, shown, "horse")
		assert.NotContains(t, shown, "686f727365")
	}
}
