package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stub records its call. It answers as AWS does, from the variables ZONE and ATTACHED.
const stub = `#!/bin/bash
name=$(basename "$0")
echo "$name $*" >> "$CALLS"
case "$name $*" in
  *api/token*) echo token ;;
  *meta-data/instance-id*) echo i-1 ;;
  *availability-zone*) echo "$ZONE" ;;
  *attach-volume*) exit "$ATTACHED" ;;
  *get-secret-value*) echo '{}' ;;
  jq*) echo pem ;;
  blkid*) exit 1 ;; # an empty volume
esac
`

// bootedMachine is the result of the script with which an instance of etcd starts.
type bootedMachine struct {
	root  string // its file system
	calls string // programs that it called, one a line
	err   error
}

// boot runs the user data of a stack in a directory instead of the file system, with stubs of all programs.
func boot(t *testing.T, parameters map[string]string, zone, attached string, prepare func(root string)) bootedMachine {
	t.Helper()
	root := t.TempDir()
	programs := filepath.Join(root, "programs")
	for _, folder := range []string{"programs", "etc/ecs", "etc/systemd/system", "usr/local/bin", "var/lib"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	for _, name := range []string{
		"aws", "blkid", "cfn-signal", "curl", "dnf", "jq", "mkfs.xfs", "mount", "shutdown", "systemctl", "systemd-run",
		"xfs_growfs",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte(stub), 0o755))
	}
	if prepare != nil {
		prepare(root)
	}
	script := at(stackWith(t, parameters).Properties("Template"), "LaunchTemplateData", "UserData").(string)
	script = strings.NewReplacer(
		"/opt/aws/bin/", "", " /etc/", " "+root+"/etc/", "=/etc/", "="+root+"/etc/",
		"/usr/local/bin/", root+"/usr/local/bin/", " /var/lib/", " "+root+"/var/lib/",
	).Replace(script)
	command := exec.CommandContext(t.Context(), "bash", "-c", "sleep() { :; }\n"+script)
	calls := filepath.Join(root, "calls")
	command.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "CALLS="+calls, "ZONE="+zone,
		"ATTACHED="+attached)
	output, err := command.CombinedOutput()
	t.Logf("%s", output)
	return bootedMachine{root, readText(t, calls), err}
}

func (m bootedMachine) read(t *testing.T, path string) string {
	t.Helper()
	return readText(t, filepath.Join(m.root, path))
}

var threeMembers = map[string]string{"EtcdMembers": "3"}

func TestUserData_AttachesTheVolumeOfTheZone(t *testing.T) {
	for zone, want := range map[string]struct{ volume, member, group string }{
		"PrivateSubnetA.AvailabilityZone": {"Volume", "1", "Machine"},
		"PrivateSubnetB.AvailabilityZone": {"Volume2", "2", "Machine2"},
		"PrivateSubnetC.AvailabilityZone": {"Volume3", "3", "Machine3"},
	} {
		machine := boot(t, threeMembers, zone, "0", nil)
		require.NoError(t, machine.err)
		assert.Contains(t, machine.calls, "--volume-id "+want.volume+" --instance-id i-1")
		assert.Contains(t, machine.calls, "mkfs.xfs", "an empty volume is formatted")
		assert.Contains(t, machine.calls, "--exit-code 0 --region us-east-1 --stack BloxAws --resource "+want.group+"\n",
			"a new member signals at once: it becomes healthy with the others only")
		assert.Contains(t, machine.read(t, "etc/ecs/ecs.config"),
			`{"blox.etcd":"BloxAws","blox.etcd-member":"`+want.member+`"}`)
	}
}

func TestUserData_AMemberWithDataSignalsWhenItIsHealthy(t *testing.T) {
	withData := func(root string) { require.NoError(t, os.MkdirAll(root+"/var/lib/blox-etcd/data-2/member", 0o755)) }
	machine := boot(t, threeMembers, "PrivateSubnetB.AvailabilityZone", "0", withData)
	require.NoError(t, machine.err)
	assert.NotContains(t, machine.calls, "cfn-signal")
	assert.Contains(t, machine.calls, "systemd-run")
	signal := machine.read(t, "usr/local/bin/blox-etcd-signal")
	assert.Regexp(t, `until curl -sf +--max-time 5 "http://etcd-2.blox.internal:2379/health\?exclude=NOSPACE"`, signal)
	assert.Contains(t, signal, "--resource Machine2")

	secured := boot(t, map[string]string{"EtcdMembers": "3", "TlsSecretArn": "arn:secret"},
		"PrivateSubnetB.AvailabilityZone", "0", withData)
	require.NoError(t, secured.err)
	assert.Regexp(t, `curl -sf --cacert \S+ --cert \S+ --key \S+ --max-time 5 "https://etcd-2`,
		secured.read(t, "usr/local/bin/blox-etcd-signal"))

	alone := boot(t, nil, "PrivateSubnetA.AvailabilityZone", "0", func(root string) {
		require.NoError(t, os.MkdirAll(root+"/var/lib/blox-etcd/data/member", 0o755))
	})
	require.NoError(t, alone.err)
	assert.Contains(t, alone.calls, "--exit-code 0", "a single member has no others to wait for")
}

func TestUserData_AnInstanceWithoutItsVolumeShutsDown(t *testing.T) {
	for _, zone := range []string{"PrivateSubnetA.AvailabilityZone", "unexpected"} {
		machine := boot(t, threeMembers, zone, "1", func(root string) {
			failing := strings.Replace(stub, "blkid*) exit 1", "mkfs.xfs*) exit 1", 1)
			for _, name := range []string{"blkid", "mkfs.xfs"} {
				failing := strings.Replace(failing, "esac", "esac\n[ $name != blkid ] || exit 1", 1)
				require.NoError(t, os.WriteFile(filepath.Join(root, "programs", name), []byte(failing), 0o755))
			}
		})
		require.Error(t, machine.err)
		assert.NotContains(t, machine.calls, "--exit-code 0")
		assert.Contains(t, machine.calls, "systemctl mask --now ecs.service", "the ECS agent must not start etcd")
		assert.Contains(t, machine.calls, "shutdown -h +3")
	}
}

func TestUserData_FetchesTheCertificates(t *testing.T) {
	machine := boot(t, map[string]string{"TlsSecretArn": "arn:secret"}, "PrivateSubnetA.AvailabilityZone", "0", nil)
	require.NoError(t, machine.err)
	assert.Contains(t, machine.calls, "get-secret-value --region us-east-1 --secret-id arn:secret")
	for _, name := range []string{"ca", "cert", "key"} {
		path := "etc/blox-etcd/" + name + ".pem"
		assert.Equal(t, "pem\n", machine.read(t, path))
		info, err := os.Stat(filepath.Join(machine.root, path))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	assert.Contains(t, machine.read(t, "etc/systemd/system/blox-etcd-certificates.timer"), "OnCalendar=hourly")
	assert.Contains(t, machine.calls, "systemctl enable --now blox-etcd-certificates.timer")

	without := boot(t, nil, "PrivateSubnetA.AvailabilityZone", "0", nil)
	require.NoError(t, without.err)
	assert.NotContains(t, without.calls, "secretsmanager")
}
