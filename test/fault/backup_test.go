package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A backup that is made while others write holds whatever was acknowledged before it began, and a restore of it is a
// server at which clients of the first one list anew.
func TestABackupIsMadeWhileOthersWrite(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]func(t *testing.T) []string{
		"embedded store": func(*testing.T) []string { return nil },
		"etcd":           func(t *testing.T) []string { return []string{"--etcd-servers", startEtcd(t).client} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, filepath.Join(t.TempDir(), "data"), args(t)...)
			d.start(t)
			client := d.configMaps(t)
			before, during := newLedger(), newLedger()
			before.writeUntil(t, client, "w-before", 8, 200, func() {})
			before.settle(t, client)
			file := filepath.Join(t.TempDir(), "backup")
			during.writeUntil(t, client, "w-during", 8, 50, func() {
				if out, err := run(t, "backup", file, "--data-dir", d.dir); err != nil {
					t.Fatalf("backup: %v\n%s", err, out)
				}
			})
			last, err := client.List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			d.stop(t)

			restored := newDoor(t, filepath.Join(t.TempDir(), "restored"))
			if out, err := run(t, "restore", file, "--data-dir", restored.dir); err != nil {
				t.Fatalf("restore: %v\n%s", err, out)
			}
			restored.start(t)
			again := restored.configMaps(t)
			// Of what was written during the backup it holds a part, whole objects each.
			list, err := again.List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			there := map[string]string{}
			for i := range list.Items {
				if o := &list.Items[i]; strings.HasPrefix(o.Name, "w") {
					if _, err := stepOf(o); err != nil {
						t.Error(err)
					}
					there[o.Name] = o.ResourceVersion
				}
			}
			for name, e := range before.objects {
				if there[name] != e.revision {
					t.Errorf("%s: restored is revision %q, acknowledged before the backup was %q", name, there[name], e.revision)
				}
			}
			if _, err := again.Watch(t.Context(), metav1.ListOptions{ResourceVersion: last.ResourceVersion}); err == nil || !strings.Contains(err.Error(), "too old resource version") {
				t.Errorf("a watch of a client of the first server: got %v, want 410", err)
			}
			restored.stop(t)
		})
	}
}

// A restore that is killed leaves a directory in which no server starts, until it was run again; or it was finished.
func TestARestoreMayBeKilled(t *testing.T) {
	t.Parallel()
	d := newDoor(t, filepath.Join(t.TempDir(), "data"))
	d.start(t)
	promised := newLedger()
	promised.writeUntil(t, d.configMaps(t), "w", 8, 1000, func() {})
	d.stop(t)
	file := filepath.Join(t.TempDir(), "backup")
	if out, err := run(t, "backup", file, "--data-dir", d.dir); err != nil { // of a store that nobody uses
		t.Fatalf("backup: %v\n%s", err, out)
	}
	finished := 0
	for round := range rounds {
		restored := newDoor(t, filepath.Join(t.TempDir(), fmt.Sprint("restored", round)))
		p := start(t, porticoBinary, "restore", file, "--data-dir", restored.dir)
		time.Sleep(time.Duration(round) * 200 * time.Millisecond / time.Duration(rounds)) // at different moments
		p.kill()
		if _, err := os.Stat(filepath.Join(restored.dir, "etcd")); err == nil {
			finished++
		} else if out, err := run(t, "restore", file, "--data-dir", restored.dir); err != nil {
			t.Fatalf("the restore, run again: %v\n%s", err, out)
		}
		restored.start(t)
		promised.settle(t, restored.configMaps(t))
		restored.stop(t)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d of %d kills came too late", finished, rounds)
}
