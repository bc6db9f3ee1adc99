package authentication

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
)

// readFile adds the tokens of a CSV file. It is read once: tokens come and go with a restart.
func (t *tokens) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return errors.Unwrap(err) // the caller names the file
	}
	defer f.Close()
	return t.read(f)
}

// read adds the tokens of the lines token,user,uid[,"group1,group2"]. A line with an empty token is passed over.
func (t *tokens) read(r io.Reader) error {
	records := csv.NewReader(r)
	records.FieldsPerRecord = -1 // the groups may be left out
	records.ReuseRecord = true
	for {
		record, err := records.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err // names the line
		}
		line, _ := records.FieldPos(0)
		if len(record) < 3 {
			return fmt.Errorf("line %d: it has %d columns and needs at least 3: token, user name, user UID", line, len(record))
		}
		token, name, uid := record[0], record[1], record[2]
		if token == "" {
			continue
		}
		if name == "" {
			return fmt.Errorf("line %d: the user name is empty", line)
		}
		u := &user.DefaultInfo{Name: name, UID: uid}
		if len(record) > 3 && record[3] != "" {
			u.Groups = strings.Split(record[3], ",")
		}
		u.Groups = withAuthenticated(name, u.Groups)
		t.add(token, u)
	}
}
