"""The Django tour: a project made in a directory, its migrations (those of Django's own applications too), changes of its models,
and what its ORM does with rows.

Run by `tour.rs` with a directory and a port; it works with Django 3.2 to 5. It ends with code 0 and the word "done" if
everything was as it should be.
"""

import os
import pathlib
import subprocess
import sys
import textwrap

SETTINGS = """
SECRET_KEY = "x"
USE_TZ = True
TIME_ZONE = "America/Chicago"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": "%s",
        "USER": "annulus",
        "NAME": "annulus",
        # There is no DECLARE CURSOR.
    }
}
"""

MODELS = """
from django.contrib.auth.models import User
from django.db import models


class Label(models.Model):
    name = models.SlugField(unique=True)


class Item(models.Model):
    name = models.CharField(max_length=40)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    count = models.PositiveIntegerField(default=0)
    made = models.DateTimeField(auto_now_add=True)
    details = models.JSONField(default=dict)
    owner = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="items")
    labels = models.ManyToManyField(Label)

    class Meta:
        unique_together = [("owner", "name")]
        indexes = [models.Index(fields=["-price", "name"], name="item_by_price")]
"""

# One field is longer, one is new, one may be NULL, one has another name, one is gone; there is a constraint and a model more.
CHANGED = """
from django.contrib.auth.models import User
from django.db import models


class Label(models.Model):
    name = models.SlugField(unique=True)


class Item(models.Model):
    name = models.CharField(max_length=80)
    price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    stock = models.PositiveIntegerField(default=0)
    note = models.TextField(default="none")
    made = models.DateTimeField(auto_now_add=True, db_index=True)
    owner = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="items")
    labels = models.ManyToManyField(Label)

    class Meta:
        unique_together = [("owner", "name")]
        constraints = [models.CheckConstraint(%s=models.Q(stock__lt=1000), name="not_too_many")]


class Sale(models.Model):
    item = models.OneToOneField(Item, on_delete=models.PROTECT)
    at = models.DateField()
"""

ROWS = """
import datetime
from decimal import Decimal
from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, transaction
from django.db.models import Avg, Count, F, Q, Sum
from django.utils import timezone
from shop.models import Item, Label

ada = User.objects.create_user("ada", "ada@example.com", "secret", is_staff=True)
bob = User.objects.create_superuser("bob", "bob@example.com", "secret")
assert ada.check_password("secret") and User.objects.get(username="ada") == ada
assert Permission.objects.filter(content_type__app_label="shop").count() == 8
group = Group.objects.create(name="sellers")
group.permissions.set(Permission.objects.filter(codename__endswith="_item"))
ada.groups.add(group)
assert User.objects.get(pk=ada.pk).has_perm("shop.change_item")
assert not User.objects.get(pk=ada.pk).has_perm("shop.change_label")

red, blue = Label.objects.bulk_create([Label(name="red"), Label(name="blue")])
pen = Item.objects.create(name="pen", price="1.50", count=10, owner=ada, details={"size": 3, "parts": ["ink", None]})
ink = Item.objects.create(name="ink", price=5, owner=ada)
Item.objects.create(name="pen", price=2, owner=bob)
pen.labels.add(red, blue)
ink.labels.set([blue])

assert [item.name for item in Item.objects.filter(owner=ada).order_by("-price")] == ["ink", "pen"]
assert Item.objects.filter(labels__name="blue").count() == 2
assert Item.objects.filter(Q(price__lt=2) | Q(name__istartswith="I")).count() == 2
assert Item.objects.get(details__size=3) == pen and Item.objects.get(details__parts__0="ink") == pen
assert Item.objects.filter(details__has_key="size").count() == 1
assert Item.objects.aggregate(Sum("price"), Avg("count")) == {"price__sum": Decimal("8.50"), "count__avg": 10 / 3}
each = User.objects.annotate(n=Count("items"), sum=Sum("items__price")).order_by("username").values_list("username", "n", "sum")
assert list(each) == [("ada", 2, Decimal("6.50")), ("bob", 1, Decimal("2.00"))], list(each)
assert [item.owner.username for item in Item.objects.select_related("owner").order_by("pk")] == ["ada", "ada", "bob"]
assert [len(item.labels.all()) for item in Item.objects.prefetch_related("labels").order_by("pk")] == [2, 1, 0]
# The day in the project's time zone, which need not be UTC's; one moment for all, lest midnight come in between.
Item.objects.update(made=pen.made)
day = timezone.localtime(pen.made).date()
assert Item.objects.filter(made__date=day, made__year=day.year).count() == 3
assert list(Item.objects.dates("made", "month")) == [day.replace(day=1)]
evening = pen.made.replace(hour=3)
assert Item.objects.filter(pk=pen.pk).update(made=evening) == 1
assert Item.objects.filter(made__date=evening.date() - datetime.timedelta(days=1), pk=pen.pk).exists()
assert Item.objects.filter(owner__in=User.objects.filter(is_staff=True)).count() == 3
assert list(Item.objects.order_by("pk")[1:2]) == [ink]
assert Item.objects.filter(pk__in=[pen.pk, ink.pk]).exists()
assert Item.objects.values("name").annotate(n=Count("pk")).filter(n__gt=1).get() == {"name": "pen", "n": 2}

assert Item.objects.filter(name="pen").update(count=F("count") + 1) == 2
pen.refresh_from_db()
assert pen.count == 11
try:
    with transaction.atomic():
        Item.objects.create(name="pen", price=1, owner=ada)
    raise AssertionError("two items of one name")
except IntegrityError as error:
    assert "shop_item_owner_id" in str(error), error
try:
    with transaction.atomic():
        Item.objects.filter(pk=ink.pk).update(owner=12345)
    raise AssertionError("an item of nobody")
except IntegrityError:
    pass
with transaction.atomic():
    locked = Item.objects.select_for_update().get(pk=ink.pk)
    locked.price = Decimal("6")
    locked.save()
    inner = transaction.savepoint()
    Item.objects.all().delete()
    transaction.savepoint_rollback(inner)
assert Item.objects.count() == 3 and Item.objects.get(pk=ink.pk).price == 6
got, made = Label.objects.get_or_create(name="red")
assert got == red and not made
assert Label.objects.update_or_create(name="green", defaults={})[1]
Label.objects.bulk_create([Label(name="red"), Label(name="black")], ignore_conflicts=True)
assert Label.objects.count() == 4
assert len(list(Item.objects.all().iterator(chunk_size=2))) == 3
assert bob.delete()[1]["shop.Item"] == 1
assert list(Item.objects.order_by("name").values_list("name", flat=True)) == ["ink", "pen"]

from django.test import Client
from django.conf import settings
settings.ALLOWED_HOSTS = ["testserver"]
client = Client()
assert client.login(username="ada", password="secret")
from django.contrib.sessions.models import Session
assert Session.objects.count() == 1
"""

LATER = """
import datetime
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from shop.models import Item, Sale

pen = Item.objects.get(name="pen")
assert (pen.stock, pen.note) == (11, "none")
pen.name = "p" * 60
pen.price = None
pen.save()
sale = Sale.objects.create(item=pen, at=datetime.date(2020, 2, 29))
assert Sale.objects.get(at__year=2020).item.sale == sale
try:
    pen.delete()
    raise AssertionError("what was sold is deleted")
except ProtectedError:
    pass
try:
    with transaction.atomic():
        Item.objects.create(name="many", stock=1000)
    raise AssertionError("too many")
except IntegrityError as error:
    assert "not_too_many" in str(error), error
"""

TABLES = """
from django.db import connection
with connection.cursor() as cursor:
    tables = {table.name for table in connection.introspection.get_table_list(cursor)}
    constraints = connection.introspection.get_constraints(cursor, "shop_item")
    columns = {column.name: column for column in connection.introspection.get_table_description(cursor, "shop_item")}
    sequences = connection.introspection.get_sequences(cursor, "shop_item")
    relations = connection.introspection.get_relations(cursor, "shop_item")
assert {"shop_item", "shop_label", "shop_item_labels", "auth_user", "django_migrations", "django_session"} <= tables, tables
assert relations == {"owner_id": ("id", "auth_user")}, relations
assert constraints["shop_item_pkey"]["primary_key"] and constraints["shop_item_pkey"]["columns"] == ["id"]
assert constraints["item_by_price"]["columns"] == ["price", "name"] and constraints["item_by_price"]["orders"] == ["DESC", "ASC"]
assert [c["columns"] for c in constraints.values() if c["unique"] and not c["primary_key"]] == [["owner_id", "name"]]
assert [c["foreign_key"] for c in constraints.values() if c["foreign_key"]] == [("auth_user", "id")]
assert columns["owner_id"].null_ok and not columns["name"].null_ok
assert [s["column"] for s in sequences] == ["id"], sequences
"""


def main(directory, port):
    home = pathlib.Path(directory)
    (home / "shop").mkdir()
    (home / "shop" / "__init__.py").touch()
    (home / "settings.py").write_text(SETTINGS % port)
    environment = dict(os.environ, DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=directory, PYTHONDONTWRITEBYTECODE="1")

    def run(*arguments):
        done = subprocess.run([sys.executable, *arguments], cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def manage(*arguments):
        return run("-m", "django", *arguments)

    def script(text):
        return run("-c", "import django\ndjango.setup()\n" + textwrap.dedent(text))

    import django

    models = home / "shop" / "models.py"
    models.write_text(MODELS)
    manage("makemigrations", "shop")
    manage("migrate")
    assert "No changes detected" in manage("makemigrations", "--check", "--dry-run")
    assert "[ ]" not in manage("showmigrations")
    script(TABLES)
    assert "models.ForeignKey" in manage("inspectdb", "shop_item")
    script(ROWS)
    models.write_text(CHANGED % ("condition" if django.VERSION >= (5, 1) else "check"))
    answers = home / "answers.py"
    answers.write_text(
        "from django.db.migrations.questioner import InteractiveMigrationQuestioner as Q\n"
        "Q.ask_rename = lambda self, *names: True\n"
        "import sys, django\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('makemigrations', 'shop')\n"
    )
    run(str(answers))
    manage("migrate")
    script(LATER)
    manage("flush", "--no-input")
    script("from shop.models import Item, Sale\nassert not Item.objects.exists() and not Sale.objects.exists()")
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
