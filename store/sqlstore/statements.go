package sqlstore

import (
	"database/sql"
	"sync/atomic"
)

const (
	clientColumns  = "id, version, purge_at, record"
	clientUpdated  = "purge_at, record"
	codeColumns    = "kind, code_key, version, expires_at, consumed_at, purge_at, data"
	codeUpdated    = "expires_at, purge_at, data"
	tokenColumns   = "id, client_id, subject, version, " + tokenFields + ", revoked_at"
	tokenFields    = "state, scopes, resources, family_hash, secret_hash, previous_hash, successor, rotated_at, created_at, last_used_at, expires_at, purge_at, purge_day, device, ip, data"
	consentColumns = "subject, client_id, version, " + consentFields
	consentFields  = "scopes, resources, client_hash, granted_at, updated_at"
)

// statement is the text of a statement and, once it was used, what the database
// has made of it.
type statement struct {
	text     string
	prepared atomic.Pointer[sql.Stmt]
}

// statements are all that a Store runs, apart from Migrate and Check.
type statements struct {
	all []*statement

	client, createClient, updateClient, explainClient, deleteClient, listClients *statement

	code, createCode, updateCode, consumeCode, explainCode *statement

	token, createToken, updateToken, explainToken *statement
	revokeTokens, listTokens                      [8]*statement // by the mask of a TokenQuery

	consent, createConsent, mergeConsent, updateConsent, listConsents *statement
	revokeConsents                                                    [4]*statement // by the mask of a ConsentQuery

	purge map[string]purgeStatements
}

func newStatements(t tables) *statements {
	s := &statements{purge: map[string]purgeStatements{}}
	s.addClients(t)
	s.addCodes(t)
	s.addTokens(t)
	s.addConsents(t)
	s.addPurges(t)
	return s
}

func (s *statements) add(t tables, text string) *statement {
	st := &statement{text: t.render(text)}
	s.all = append(s.all, st)
	return st
}

func (t tables) explaining() string {
	if t.lock {
		return t.forUpdate()
	}
	return ""
}

func (s *statements) addClients(t tables) {
	s.client = s.add(t, "SELECT "+clientColumns+" FROM {clients} WHERE id = ?")
	s.createClient = s.add(t, t.insert("{clients}", clientColumns))
	s.updateClient = s.add(t, "UPDATE {clients} SET version = version + 1, "+set(clientUpdated)+" WHERE id = ? AND version = ?")
	s.explainClient = s.add(t, "SELECT version FROM {clients} WHERE id = ?"+t.explaining())
	s.deleteClient = s.add(t, "DELETE FROM {clients} WHERE id = ?")
	s.listClients = s.add(t, "SELECT "+clientColumns+" FROM {clients} WHERE id > ? ORDER BY id LIMIT ?")
}

func (s *statements) addCodes(t tables) {
	const key = " WHERE kind = ? AND code_key = ?"
	s.code = s.add(t, "SELECT "+codeColumns+" FROM {codes}"+key)
	s.createCode = s.add(t, t.insert("{codes}", codeColumns))
	s.updateCode = s.add(t, "UPDATE {codes} SET version = version + 1, "+set(codeUpdated)+key+" AND version = ? AND consumed_at IS NULL")
	consume := "UPDATE {codes} SET version = version + 1, consumed_at = ?" + key + " AND consumed_at IS NULL"
	if t.dialect != MySQL {
		consume += " RETURNING " + codeColumns
	}
	s.consumeCode = s.add(t, consume)
	s.explainCode = s.add(t, "SELECT "+codeColumns+" FROM {codes}"+key+t.explaining())
}

func (s *statements) addTokens(t tables) {
	s.token = s.add(t, "SELECT "+tokenColumns+" FROM {tokens} WHERE id = ?")
	s.createToken = s.add(t, t.insert("{tokens}", tokenColumns))
	s.updateToken = s.add(t, "UPDATE {tokens} SET version = version + 1, "+set(tokenFields)+" WHERE id = ? AND version = ? AND revoked_at IS NULL")
	s.explainToken = s.add(t, "SELECT version, revoked_at FROM {tokens} WHERE id = ?"+t.explaining())
	for mask := 1; mask < 8; mask++ {
		selected := where(mask, "id", "subject", "client_id")
		s.revokeTokens[mask] = s.add(t, "UPDATE {tokens} SET version = version + 1, revoked_at = ?, purge_at = ?, purge_day = ?"+selected+" AND revoked_at IS NULL")
		s.listTokens[mask] = s.add(t, "SELECT "+tokenColumns+" FROM {tokens}"+selected+" AND id > ? ORDER BY id LIMIT ?")
	}
}

func (s *statements) addConsents(t tables) {
	const key = " WHERE subject = ? AND client_id = ?"
	s.consent = s.add(t, "SELECT "+consentColumns+" FROM {consents}"+key)
	s.createConsent = s.add(t, t.insert("{consents}", consentColumns))
	s.mergeConsent = s.add(t, "SELECT "+consentColumns+" FROM {consents}"+key+t.forUpdate())
	s.updateConsent = s.add(t, "UPDATE {consents} SET version = version + 1, "+set(consentFields)+key+" AND version = ?")
	s.listConsents = s.add(t, "SELECT "+consentColumns+" FROM {consents} WHERE subject = ? AND client_id > ? ORDER BY client_id LIMIT ?")
	for mask := 1; mask < 4; mask++ {
		s.revokeConsents[mask] = s.add(t, "DELETE FROM {consents}"+where(mask, "subject", "client_id"))
	}
}

// where returns the condition on those columns whose bit is set in the mask.
func where(mask int, columns ...string) string {
	text := ""
	for i, column := range columns {
		if mask&(1<<i) == 0 {
			continue
		}
		if text == "" {
			text = " WHERE "
		} else {
			text += " AND "
		}
		text += column + " = ?"
	}
	return text
}
