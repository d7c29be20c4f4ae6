package harness_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/harness"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	harness.RunRole(map[string]harness.Role{
		"wait": func(ctx context.Context, _ []string) error { <-ctx.Done(); return nil },
		"fail": func(context.Context, []string) error { return errors.New("out of order") },
		"parent": func(ctx context.Context, args []string) error {
			child := harness.NewProcess(harness.Config{Name: "child", Role: "wait", Dir: args[0]})
			if err := child.Start(); err != nil {
				return err
			}
			fmt.Println("child:", child.PID())
			<-ctx.Done()
			return nil
		},
		"echo": func(ctx context.Context, args []string) error {
			return http.ListenAndServe(args[0], http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		},
	})
	goleak.VerifyTestMain(m)
}

func newProcess(t *testing.T, cfg harness.Config) *harness.Process {
	cfg.Name, cfg.Dir = cfg.Role, t.TempDir()
	p := harness.NewProcess(cfg)
	t.Cleanup(p.Kill)
	return p
}

func await(t *testing.T, what string, check func() error) {
	t.Helper()
	require.NoError(t, harness.Await(t.Context(), patience, what, check))
}

func TestProcess_EndsWithTheSignalAndStartsAgain(t *testing.T) {
	p := newProcess(t, harness.Config{Role: "wait", OnExit: func(name, state string) { t.Errorf("%s: %s", name, state) }})
	assert.Zero(t, p.Stop(syscall.SIGTERM, patience), "a process that was never started")
	require.NoError(t, p.Start())
	first := p.PID()
	require.NoError(t, p.Start(), "it already runs")
	assert.Equal(t, first, p.PID())
	p.Kill()
	assert.Equal(t, -1, p.Wait())
	require.NoError(t, p.Start())
	assert.NotEqual(t, first, p.PID())
	p.Pause()
	p.Kill()
	assert.Equal(t, -1, p.Wait(), "a paused process can be killed")
	assert.Contains(t, p.Output(), "--- start 2\n")
}

func TestProcess_RunsTheAlternativeAtEverySecondStart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "other"} { // a shell whose $0 is the path by which it was started
		require.NoError(t, os.Symlink("/bin/sh", filepath.Join(dir, name)))
	}
	p := newProcess(t, harness.Config{
		Name: "p", Path: filepath.Join(dir, "one"), Alternative: filepath.Join(dir, "other"),
		Args: []string{"-c", `echo "as ${0##*/}"`},
	})
	var ran []string
	for range 3 {
		require.NoError(t, p.Start())
		assert.Zero(t, p.Wait())
	}
	for line := range strings.Lines(p.Output()) {
		if name, found := strings.CutPrefix(line, "as "); found {
			ran = append(ran, strings.TrimSpace(name))
		}
	}
	assert.Equal(t, []string{"one", "other", "one"}, ran)
}

func TestProcess_ReportsAnEndOfItsOwn(t *testing.T) {
	exits := make(chan string, 1)
	p := newProcess(t, harness.Config{Role: "fail", OnExit: func(name, state string) { exits <- name + ": " + state }})
	require.NoError(t, p.Start())
	assert.Equal(t, 1, p.Wait())
	assert.Equal(t, "fail: exit status 1", <-exits)
	assert.Contains(t, p.Output(), "out of order")
	assert.ErrorContains(t, p.AwaitReady(t.Context(), "http://127.0.0.1:1", patience), "out of order")
}

func TestProcess_PausesAndResumes(t *testing.T) {
	address, err := harness.FreeAddress()
	require.NoError(t, err)
	p := newProcess(t, harness.Config{Role: "echo", Args: []string{address}})
	require.NoError(t, p.Start())
	require.NoError(t, p.AwaitReady(t.Context(), "http://"+address, patience))
	for range 50 {
		p.Pause()
		assert.Error(t, p.AwaitReady(t.Context(), "http://"+address, time.Millisecond), "it does not answer")
		p.Resume()
		assert.NoError(t, p.AwaitReady(t.Context(), "http://"+address, patience))
	}
}

func TestProcess_RefusesWhatCannotRun(t *testing.T) {
	missing := harness.NewProcess(harness.Config{Name: "missing", Path: "/nonexistent", Dir: t.TempDir()})
	assert.ErrorContains(t, missing.Start(), "start missing")
	assert.Zero(t, missing.Wait())
	unknown := newProcess(t, harness.Config{Role: "unknown"})
	require.NoError(t, unknown.Start())
	assert.Equal(t, 1, unknown.Wait())
	assert.Contains(t, unknown.Output(), `unknown role "unknown"`)
}

func TestProcess_EndsWithItsParent(t *testing.T) {
	dir := t.TempDir()
	parent := newProcess(t, harness.Config{Role: "parent", Args: []string{dir}})
	require.NoError(t, parent.Start())
	var child int
	await(t, "the child's process ID", func() (err error) {
		_, rest, _ := strings.Cut(parent.Output(), "child: ")
		line, _, found := strings.Cut(rest, "\n")
		if !found {
			return errors.New("not written yet")
		}
		child, err = strconv.Atoi(line)
		return err
	})
	parent.Kill()
	if _, err := os.Stat("/proc/self"); err != nil {
		require.NoError(t, syscall.Kill(child, syscall.SIGKILL))
		t.Skip("only Linux ends a child with its parent")
	}
	await(t, "the child's end", func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err == nil && !strings.Contains(string(status), ") Z ") { // a zombie waits for init to reap it
			return fmt.Errorf("process %d still runs", child)
		}
		return nil
	})
}

func TestFreeAddress_ReturnsEachAddressOnce(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		address, err := harness.FreeAddress()
		require.NoError(t, err)
		assert.False(t, seen[address], address)
		seen[address] = true
	}
}

func TestAwait_ReturnsTheLastError(t *testing.T) {
	cause := errors.New("cause")
	assert.ErrorIs(t, harness.Await(t.Context(), time.Millisecond, "nothing", func() error { return cause }), cause)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, harness.Await(ctx, patience, "nothing", func() error { return cause }), context.Canceled)
}

func TestEtcd_SurvivesTheLossOfAMember(t *testing.T) {
	var peers []string
	etcd, err := harness.NewEtcd(harness.EtcdConfig{
		Dir: t.TempDir(), Members: 3, Quota: 64 << 20,
		PeerAddress: func(_ int, peer string) (string, error) { peers = append(peers, peer); return peer, nil },
		OnExit:      func(name, state string) { t.Errorf("%s: %s", name, state) },
	})
	require.NoError(t, err)
	t.Cleanup(etcd.Kill)
	assert.Len(t, peers, 3)
	require.NoError(t, etcd.Start(t.Context(), patience))
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints})
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Put(t.Context(), "key", "value")
	require.NoError(t, err)
	etcd.Members[0].Kill()
	await(t, "a read from the other members", func() error {
		got, err := client.Get(t.Context(), "key")
		if err == nil && len(got.Kvs) != 1 {
			t.Error("the write is lost")
		}
		return err
	})
	require.NoError(t, etcd.Start(t.Context(), patience))
	assert.Zero(t, etcd.Members[1].Stop(syscall.SIGTERM, patience), "a member ends cleanly")
}

func TestEtcd_KeepsItsDataWithASingleMember(t *testing.T) {
	etcd, err := harness.NewEtcd(harness.EtcdConfig{Dir: t.TempDir(), Members: 1, Fsync: true})
	require.NoError(t, err)
	t.Cleanup(etcd.Kill)
	require.NoError(t, etcd.Start(t.Context(), patience))
	client, err := clientv3.New(clientv3.Config{Endpoints: etcd.Endpoints})
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Put(t.Context(), "key", "value")
	require.NoError(t, err)
	etcd.Kill()
	require.NoError(t, etcd.Start(t.Context(), patience))
	await(t, "the value", func() error {
		got, err := client.Get(t.Context(), "key")
		if err == nil && len(got.Kvs) != 1 {
			t.Error("the write is lost")
		}
		return err
	})
}
