import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.Random;
import java.util.Set;

/**
 * Prints what a real JVM makes of account keys: vectors.json, which the tests of shared/routing/jdk-hash.ts compare with.
 * Run once, result committed; any JDK from 11 on, no build:
 *
 *   java test/support/jdk-hash/JdkHashVectors.java > test/support/jdk-hash/vectors.json
 *
 * Keys are printed with every non-ASCII code unit as an escape, so that lone surrogates survive.
 */
public final class JdkHashVectors {
    private static final int[] BUCKET_COUNTS = {100, 1024};
    private static final long SEED = 20240229L;
    private static final int RANDOM_KEYS_PER_ALPHABET = 40;

    /** First and last code unit or code point of what random keys are drawn from. */
    private static final int[][] ALPHABETS = {
        {0x20, 0x7e}, // printable ASCII
        {0x00, 0x7f}, // all of ASCII
        {0x80, 0x7ff}, // two bytes in UTF-8: accents, Greek, Cyrillic, Hebrew, Arabic
        {0x800, 0xd7ff}, // three bytes: CJK, Hangul
        {0xd700, 0xe0ff}, // surrogates with and without a partner, and their neighbours
        {0x10000, 0x10ffff}, // four bytes
    };

    public static void main(String[] arguments) {
        Set<String> keys = new LinkedHashSet<>();
        addChosen(keys);
        addRandom(keys);
        StringBuilder out = new StringBuilder("{\n  \"bucketCounts\": [100, 1024],\n  \"vectors\": [\n");
        int left = keys.size();
        for (String key : keys) {
            left -= 1;
            out.append("    ").append(vectorOf(key)).append(left == 0 ? "\n" : ",\n");
        }
        System.out.print(out.append("  ]\n}\n"));
    }

    private static void addChosen(Set<String> keys) {
        String[] chosen = {
            "", " ", "a", "A", "0", "\0", "\u007f", "alice", "bob", "Alice", "alice ", "account-1", "subscriber/42", "user@example.com",
            "+4915112345678", "00000000-0000-0000-0000-000000000000", "null", "undefined", "true", "-1", "2147483648", "a\tb\nc", "\"\\/",
            // Hash is Integer.MIN_VALUE, where abs(hash) alone would stay negative.
            "polygenelubricants", "GydZG_", "DESIGNING WORKHOUSES",
            // Same hash, other text.
            "Aa", "BB", "AaAa", "BBBB", "AaBB", "BBAa",
            // Accents, composed and decomposed: two keys, two hashes.
            "M\u00fcller", "Mu\u0308ller", "Jos\u00e9", "stra\u00dfe", "\u00ff", "\u0080", "\u07ff", "\u0800", "\ufb01", "\ufeffbom", "\ufffd", "\uffff",
            "\u0395\u03bb\u03bb\u03ac\u03b4\u03b1", "\u041c\u043e\u0441\u043a\u0432\u0430", "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627",
            "\u6771\u4eac", "\u5317\u4eac\u5e02", "\uc11c\uc6b8", "\u3053\u3093\u306b\u3061\u306f", "\u0928\u092e\u0938\u094d\u0924\u0947",
            // Surrogate pairs.
            "\ud83d\ude00", "x\ud83d\ude00y", "\ud83d\udc69\u200d\ud83d\udc67", "\ud83c\udde9\ud83c\uddea", "\ud800\udc00", "\udbff\udfff",
            // Surrogates without a partner, alone, in the wrong order, at the end.
            "\ud800", "\udbff", "\udc00", "\udfff", "a\ud800", "\ud800a", "\udc00\ud800", "\ud800\ud800\udc00", "\ud83d\ud83d", "\ude00\ude00", "a\ud83d\u00e9",
        };
        for (String key : chosen) {
            keys.add(key);
        }
        for (int number = 0; number < 60; number += 1) {
            keys.add("account-" + number * 7919);
        }
        for (int length : new int[] {255, 256, 257, 1000, 5000}) {
            keys.add("k".repeat(length));
        }
        keys.add("\u00e9".repeat(256));
        keys.add("\u6771".repeat(256));
        keys.add("\ud83d\ude00".repeat(128));
    }

    private static void addRandom(Set<String> keys) {
        Random random = new Random(SEED);
        for (int[] alphabet : ALPHABETS) {
            for (int count = 0; count < RANDOM_KEYS_PER_ALPHABET; count += 1) {
                StringBuilder key = new StringBuilder();
                int length = 1 + random.nextInt(24);
                for (int index = 0; index < length; index += 1) {
                    key.appendCodePoint(alphabet[0] + random.nextInt(alphabet[1] - alphabet[0] + 1));
                }
                keys.add(key.toString());
            }
        }
    }

    private static String vectorOf(String key) {
        int ofString = key.hashCode();
        int ofUtf8 = 0;
        for (byte signed : key.getBytes(StandardCharsets.UTF_8)) {
            ofUtf8 = 31 * ofUtf8 + signed;
        }
        return "{ \"key\": " + jsonOf(key)
            + ", \"string\": { \"hash\": " + ofString + ", \"buckets\": " + bucketsOf(ofString) + " }"
            + ", \"utf8\": { \"hash\": " + ofUtf8 + ", \"buckets\": " + bucketsOf(ofUtf8) + " } }";
    }

    private static String bucketsOf(int hash) {
        StringBuilder out = new StringBuilder("[");
        for (int count : BUCKET_COUNTS) {
            out.append(out.length() == 1 ? "" : ", ").append(Math.abs(hash % count));
        }
        return out.append(']').toString();
    }

    private static String jsonOf(String key) {
        StringBuilder out = new StringBuilder("\"");
        for (char unit : key.toCharArray()) {
            boolean plain = unit >= 0x20 && unit < 0x7f && unit != '"' && unit != '\\';
            out.append(plain ? String.valueOf(unit) : String.format("\\u%04x", (int) unit));
        }
        return out.append('"').toString();
    }
}
